//! `CARv1` archives: blocks in one stream, checked block by block.
//!
//! [`CarDecoder`] takes bytes as they come (from a gateway, say) and does no I/O, [`CarReader`] reads from anything that can
//! be read. Both hand out blocks whose hash has been checked, so nothing unchecked leaves this module. That a set of
//! blocks is whole is told by [`verify_car`]; [`export_car`] and [`import_car`] move content out of and into a block
//! store. Source: `spec/storage.md`, section 4.

mod decode;
mod file;
mod header;
mod read;
mod transfer;
mod verify;
mod write;

pub use self::{
    decode::{CarBlock, CarDecoder, MAX_SECTION_BYTES},
    file::CarFile,
    header::{CarHeader, HeaderError, MAX_HEADER_BYTES},
    read::CarReader,
    transfer::{CarExport, Export, ExportError, ImportCarError, export_car, import_car},
    verify::{CarError, CarPolicy, CarSummary, CarVerifier, MAX_BLOCKS, verify_car},
    write::CarWriter,
};
