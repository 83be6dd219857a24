//! A node over HAF's database instead of an API node.

use std::path::PathBuf;

use alive_core::backend::SharedBlockSource;
use alive_hive::haf::{HafBlockSource, HafBlockSourceConfig};
use anyhow::ensure;

use crate::{chain::Chain, index::authorities};

/// HAF's database and our place in it.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct HafArgs {
    /// Database of a HAF server to read blocks from, instead of --hive-node: `postgresql://USER@HOST/DATABASE`, or a Unix
    /// socket as `postgresql://USER@%2Fvar%2Frun%2Fpostgresql/DATABASE`. Give a password by the variable.
    #[arg(long, env = "ALIVE_HAF", value_name = "URL", hide_env_values = true)]
    haf: Option<String>,
    /// File of certificate authorities, in PEM, that may vouch for that database besides those of the system. With
    /// `sslmode=require` in its address the connection is encrypted, and the server must prove to be that host.
    #[arg(long, env = "ALIVE_HAF_CA", value_name = "FILE", requires = "haf")]
    haf_ca: Option<PathBuf>,
    /// Name of the context in HAF, which is created when it is not there.
    #[arg(long, env = "ALIVE_HAF_CONTEXT", default_value = "alive", value_name = "NAME")]
    haf_context: String,
    /// Schema of the context's views.
    #[arg(long, env = "ALIVE_HAF_SCHEMA", default_value = "alive", value_name = "NAME")]
    haf_schema: String,
    /// Most blocks that HAF hands out at once.
    #[arg(
        long,
        env = "ALIVE_HAF_BATCH",
        default_value_t = 1000,
        value_name = "BLOCKS",
        value_parser = clap::value_parser!(u32).range(1..=i64::from(HafBlockSourceConfig::MAX_BATCH))
    )]
    haf_batch: u32,
    /// Index reversible blocks as well, up to HAF's head; a fork takes them back.
    #[arg(long, env = "ALIVE_HAF_OVERLAY")]
    haf_overlay: bool,
}

impl HafArgs {
    /// Reads blocks of each chain from `from_block` on: of the one of Hive's family out of HAF if one is given, else from
    /// the chain's nodes.
    pub(crate) fn block_sources(
        &self,
        chains: &[Chain],
        from_block: u32,
    ) -> anyhow::Result<Vec<SharedBlockSource>> {
        if self.haf.is_some() {
            let of_hive = chains.iter().filter(|chain| chain.hive().is_ok()).count();
            ensure!(of_hive > 0, "--haf is for a network of Hive's family, and none is given");
            ensure!(
                of_hive == 1,
                "--haf reads one chain, and {of_hive} of Hive's family are given"
            );
        }
        let sources = chains.iter().map(|chain| self.block_source(chain, from_block));
        sources.collect()
    }

    fn block_source(&self, chain: &Chain, from_block: u32) -> anyhow::Result<SharedBlockSource> {
        let (Some(address), Ok(network)) = (&self.haf, chain.hive()) else {
            return chain.block_source(from_block);
        };
        let mut config = HafBlockSourceConfig::new(address)?
            .context(&self.haf_context)?
            .schema(&self.haf_schema)?
            .custom_json_id(chain.custom_json_id())
            .from_block(from_block)
            .batch(self.haf_batch)
            .overlay(self.haf_overlay);
        if let Some(file) = &self.haf_ca {
            config = config.trust(&authorities(file)?)?;
        }
        Ok(SharedBlockSource::new(HafBlockSource::new(network.name.clone(), config)))
    }
}
