//! What Hivemind and its forerunners tell: `condenser_api.get_content`, `database_api.find_comments`, `bridge.get_post`,
//! `bridge.get_follow_list`.
//!
//! Nothing is ever paid here, so every amount is nothing and every reputation that of a new account.

use serde_json::{Value, json};

use crate::{
    asset::{Asset, AssetSymbol},
    devnet::{engine::Devnet, jsonrpc::Fault, posts::Post},
    json_form::JsonForm,
};

use super::{Answered, params, properties::asset};

/// Most posts of one request. Source: `database_api` of hived.
const MAX_POSTS: usize = 1000;
/// The time of what has not happened, as hived writes it.
const NEVER: &str = "1969-12-31T23:59:59";
const NOTHING: Asset = Asset { amount: 0, symbol: AssetSymbol::Hbd };

impl Devnet {
    /// `condenser_api.get_content`: a post, or an empty one if there is none.
    pub(super) fn get_content(&self, params: &Value) -> Answered {
        let names = params::texts(params)?;
        let [author, permlink] = *names.as_slice() else {
            return Err(Fault::bad_params("the method takes an author and a permlink"));
        };
        let json = match self.posts.find(author, permlink) {
            Some(post) => self.content(author, permlink, post),
            None => json!({ "id": 0, "author": "", "permlink": "" }),
        };
        Ok(json.into())
    }

    /// `database_api.find_comments`; unknown ones are left out.
    pub(super) fn find_comments(&self, params: &Value) -> Answered {
        let asked = params::named(params, "comments")?;
        let asked = asked.as_array().ok_or_else(|| Fault::bad_params("comments: not a list"))?;
        if asked.len() > MAX_POSTS {
            return Err(Fault::assertion("too many posts asked for at once"));
        }
        let mut found = Vec::new();
        for pair in asked {
            let names = params::texts(pair)?;
            let [author, permlink] = *names.as_slice() else {
                return Err(Fault::bad_params("comments: not a list of authors and permlinks"));
            };
            if let Some(post) = self.posts.find(author, permlink) {
                found.push(self.comment_json(author, permlink, post));
            }
        }
        Ok(json!({ "comments": found }).into())
    }

    /// `bridge.get_follow_list`: the accounts that the observer has blacklisted, by the configuration of this node.
    pub(super) fn get_follow_list(&self, params: &Value) -> Answered {
        let text = |name: &str| {
            let value = params::named(params, name)?.as_str();
            value.ok_or_else(|| Fault::bad_params(&format!("{name}: not a text")))
        };
        let (observer, kind) = (text("observer")?, text("follow_type")?);
        let names = self.config.blacklists.get(observer).filter(|_| kind == "blacklisted");
        let about = |name: &str| json!({ "name": name, "blacklist_description": "", "muted_list_description": "" });
        let list: Vec<_> = names.into_iter().flatten().map(|name| about(name)).collect();
        Ok(json!(list).into())
    }

    /// `bridge.get_post`.
    pub(super) fn get_post(&self, params: &Value) -> Answered {
        let text = |name: &str| {
            let value = params::named(params, name)?.as_str();
            value.ok_or_else(|| Fault::bad_params(&format!("{name}: not a text")))
        };
        let (author, permlink) = (text("author")?, text("permlink")?);
        match self.posts.find(author, permlink) {
            Some(post) => Ok(self.bridge_post(author, permlink, post).into()),
            None => Err(Fault::chosen(
                -32_602,
                &format!(
                    "Invalid parameters: post {} does not exist",
                    alive_core::Excerpt::of(&format!("{author}/{permlink}"))
                ),
            )),
        }
    }

    fn content(&self, author: &str, permlink: &str, post: &Post) -> Value {
        let nothing = asset(NOTHING, JsonForm::Legacy);
        let votes = self.posts.votes(author, permlink);
        let votes: Vec<Value> = votes
            .iter()
            .map(|(voter, vote)| {
                json!({
                    "voter": voter, "percent": vote.percent, "rshares": 0, "weight": 0,
                    "reputation": 0, "time": vote.time.to_string(),
                })
            })
            .collect();
        let (root_author, root_permlink) = &post.root;
        let root_title = self.posts.find(root_author, root_permlink).map(|root| &*root.title);
        let json = common(author, permlink, post, JsonForm::Legacy);
        merged(
            json,
            json!({
                "id": post.id,
                "post_id": post.id,
                "json_metadata": &*post.json_metadata,
                "last_update": post.last_update.to_string(),
                "active": post.last_update.to_string(),
                "last_payout": "1970-01-01T00:00:00",
                "cashout_time": self.cashout_time(post),
                "max_cashout_time": NEVER,
                "parent_author": &*post.parent.0,
                "parent_permlink": &*post.parent.1,
                "root_author": &**root_author,
                "root_permlink": &**root_permlink,
                "root_title": root_title.unwrap_or_default(),
                "url": url(author, permlink, post),
                "total_payout_value": nothing,
                "total_pending_payout_value": nothing,
                "active_votes": votes,
                "net_votes": post.votes,
                "abs_rshares": 0,
                "vote_rshares": 0,
                "children_abs_rshares": 0,
                "total_vote_weight": 0,
                "reward_weight": 10_000,
                "author_rewards": 0,
                "author_reputation": 0,
                "allow_replies": true,
                "allow_votes": post.allow_votes,
                "allow_curation_rewards": post.allow_curation_rewards,
                "body_length": post.body.len(),
                "reblogged_by": [],
                "replies": [],
            }),
        )
    }

    fn comment_json(&self, author: &str, permlink: &str, post: &Post) -> Value {
        let nothing = asset(NOTHING, JsonForm::Hf26);
        let json = common(author, permlink, post, JsonForm::Hf26);
        let (root_author, root_permlink) = &post.root;
        merged(
            json,
            json!({
                "id": post.id,
                "json_metadata": &*post.json_metadata,
                "last_update": post.last_update.to_string(),
                "active": post.last_update.to_string(),
                "last_payout": "1970-01-01T00:00:00",
                "cashout_time": self.cashout_time(post),
                "max_cashout_time": NEVER,
                "parent_author": &*post.parent.0,
                "parent_permlink": &*post.parent.1,
                "root_author": &**root_author,
                "root_permlink": &**root_permlink,
                "total_payout_value": nothing,
                "abs_rshares": 0,
                "vote_rshares": 0,
                "children_abs_rshares": 0,
                "total_vote_weight": 0,
                "reward_weight": 10_000,
                "author_rewards": 0,
                "net_votes": post.votes,
                "allow_replies": true,
                "allow_votes": post.allow_votes,
                "allow_curation_rewards": post.allow_curation_rewards,
                "was_voted_on": post.votes > 0,
            }),
        )
    }

    fn bridge_post(&self, author: &str, permlink: &str, post: &Post) -> Value {
        let votes = self.posts.votes(author, permlink);
        let votes: Vec<Value> =
            votes.iter().map(|(voter, _)| json!({ "voter": voter, "rshares": 0 })).collect();
        // The bridge reads the metadata; what is no JSON object is an empty one.
        let metadata = serde_json::from_str::<Value>(&post.json_metadata).ok();
        let metadata = metadata.filter(Value::is_object).unwrap_or_else(|| json!({}));
        let nothing = asset(NOTHING, JsonForm::Legacy);
        let json = common(author, permlink, post, JsonForm::Legacy);
        let parent = (post.depth > 0).then(
            || json!({ "parent_author": &*post.parent.0, "parent_permlink": &*post.parent.1 }),
        );
        let json = merged(
            json,
            json!({
                "post_id": post.id,
                "json_metadata": metadata,
                "updated": post.last_update.to_string(),
                "payout": 0,
                "payout_at": post.payout_time().to_string(),
                "is_paidout": post.is_closed(self.head_time()),
                "author_payout_value": nothing,
                "author_reputation": 25,
                "active_votes": votes,
                "stats": {
                    "hide": false, "gray": false, "total_votes": post.votes, "flag_weight": 0,
                },
                "blacklists": [],
                "reblogs": 0,
                "replies": [],
                "url": url(author, permlink, post),
            }),
        );
        merged(json, parent.unwrap_or_default())
    }

    fn cashout_time(&self, post: &Post) -> String {
        let is_closed = post.is_closed(self.head_time());
        if is_closed { NEVER.into() } else { post.payout_time().to_string() }
    }
}

/// What the three forms have in common.
fn common(author: &str, permlink: &str, post: &Post, form: JsonForm) -> Value {
    let beneficiaries: Vec<Value> = post
        .beneficiaries
        .iter()
        .map(|share| json!({ "account": share.account, "weight": share.weight }))
        .collect();
    let nothing = asset(NOTHING, form);
    let most = Asset { amount: post.max_accepted_payout, symbol: AssetSymbol::Hbd };
    json!({
        "author": author,
        "permlink": permlink,
        "category": &*post.category,
        "title": &*post.title,
        "body": &*post.body,
        "created": post.created.to_string(),
        "depth": post.depth,
        "children": post.children,
        "net_rshares": 0,
        "promoted": nothing,
        "pending_payout_value": nothing,
        "curator_payout_value": nothing,
        "max_accepted_payout": asset(most, form),
        "percent_hbd": post.percent_hbd,
        "beneficiaries": beneficiaries,
    })
}

fn url(author: &str, permlink: &str, post: &Post) -> String {
    let (category, (root_author, root_permlink)) = (&post.category, &post.root);
    let root = format!("/{category}/@{root_author}/{root_permlink}");
    if post.depth == 0 { root } else { format!("{root}#@{author}/{permlink}") }
}

/// The members of both objects.
fn merged(mut one: Value, other: Value) -> Value {
    if let (Some(members), Value::Object(others)) = (one.as_object_mut(), other) {
        members.extend(others);
    }
    one
}
