//! Global properties: the head of the chain, and amounts of an economy that stands still.

use serde_json::{Value, json};

use crate::{
    asset::{Asset, AssetSymbol},
    block_id::BlockId,
    devnet::{
        engine::{Devnet, MAX_BLOCK_BYTES},
        jsonrpc::Fault,
    },
    json_form::{JsonForm, JsonStyle},
    network::KeyPrefix,
    serialize::Field,
    time::TimePoint,
};

/// Amounts that clients divide by, so they must not be zero; otherwise without meaning.
const SUPPLY: Asset = Asset { amount: 1_000_000_000, symbol: AssetSymbol::Hive };
const VESTING_FUND: Asset = Asset { amount: 500_000_000, symbol: AssetSymbol::Hive };
/// As many as on the main chain when its example prices were taken, so that clients reckon the costs that hold here.
const VESTING_SHARES: Asset = Asset { amount: 346_103_701_762_032_000, symbol: AssetSymbol::Vests };
const NO_HBD: Asset = Asset { amount: 0, symbol: AssetSymbol::Hbd };
const NO_HIVE: Asset = Asset { amount: 0, symbol: AssetSymbol::Hive };
const NO_VESTS: Asset = Asset { amount: 0, symbol: AssetSymbol::Vests };

impl Devnet {
    /// `get_dynamic_global_properties`; the two APIs differ in how amounts are written.
    pub(super) fn properties(&self, form: JsonForm) -> Result<Value, Fault> {
        let amount = |value| asset(value, form);
        let (head, time, witness) = self.visible_head()?;
        let irreversible = self.irreversible.min(head.block_num());
        let time = time.to_string();
        Ok(json!({
            "id": 0,
            "head_block_number": self.switches.named(head.block_num()),
            "head_block_id": head,
            "time": time,
            "last_irreversible_block_num": irreversible,
            "current_witness": witness,
            "maximum_block_size": MAX_BLOCK_BYTES,
            "current_aslot": head.block_num(),
            "recent_slots_filled": u128::MAX.to_string(),
            "participation_count": 128,
            "total_pow": 0,
            "num_pow_witnesses": 0,
            "required_actions_partition_percent": 0,
            "virtual_supply": amount(SUPPLY),
            "current_supply": amount(SUPPLY),
            "init_hbd_supply": amount(NO_HBD),
            "current_hbd_supply": amount(NO_HBD),
            "total_vesting_fund_hive": amount(VESTING_FUND),
            "total_vesting_shares": amount(VESTING_SHARES),
            "total_reward_fund_hive": amount(NO_HIVE),
            "total_reward_shares2": "0",
            "pending_rewarded_vesting_shares": amount(NO_VESTS),
            "pending_rewarded_vesting_hive": amount(NO_HIVE),
            "hbd_interest_rate": 0,
            "hbd_print_rate": 10_000,
            "hbd_start_percent": 2000,
            "hbd_stop_percent": 2000,
            "vote_power_reserve_rate": 10,
            "delegation_return_period": 432_000,
            "reverse_auction_seconds": 0,
            "available_account_subsidies": 0,
            "next_maintenance_time": time,
            "last_budget_time": time,
        }))
    }

    /// The head block as clients see it: its id, time and witness.
    fn visible_head(&self) -> Result<(BlockId, TimePoint, String), Fault> {
        let visible = self.switches.visible(self.head_num());
        if visible == self.head_num() {
            return Ok((self.head(), self.head_time(), self.witness.clone()));
        }
        let missing = || Fault::server("the block is gone");
        let block = self.block(visible)?.ok_or_else(missing)?;
        Ok((block.id, block.time(), block.header.header.witness))
    }
}

/// An amount in either form; it names no key, so no prefix shows.
pub(super) fn asset(value: Asset, form: JsonForm) -> Value {
    value.to_json(JsonStyle { form, prefix: KeyPrefix::STM })
}
