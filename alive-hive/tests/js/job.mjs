// The operations of a job, as the clients that take the legacy form want them.

export const customJson = ({ account, customJsonId }, json) => ({
  required_auths: [],
  required_posting_auths: [account],
  id: customJsonId,
  json,
})

export const comment = ({ account, post }) => ({
  parent_author: '',
  parent_permlink: post.tag,
  author: account,
  permlink: post.permlink,
  title: post.title,
  body: post.body,
  json_metadata: JSON.stringify({ tags: [post.tag] }),
})

export const commentOptions = ({ account, post }) => ({
  author: account,
  permlink: post.permlink,
  max_accepted_payout: '1000.000 HBD',
  percent_hbd: 5000,
  allow_votes: true,
  allow_curation_rewards: false,
  extensions: [[0, { beneficiaries: post.beneficiaries }]],
})
