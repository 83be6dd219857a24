mod links;
mod mesh;
mod net;
mod relay;

use super::*;
