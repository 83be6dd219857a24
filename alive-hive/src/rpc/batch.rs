//! Many calls in one request: [`RpcClient::call_batch`].

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::{Value, value::RawValue};
use tokio::time::Instant;

use super::{
    answer::{BatchAnswer, read_batch},
    client::{RpcCall, RpcClient, RpcError, any_json},
    node_error::{NodeErrorKind, Remedy},
    route::Route,
};

impl RpcClient {
    /// Calls methods in batches and gives their results in the order of the calls.
    ///
    /// Each call has its own result or error. What a node answers is kept; what it leaves out or fails at is asked from
    /// the next one. A node that takes no batches is asked one by one.
    ///
    /// ```
    /// use alive_hive::rpc::{RpcCall, RpcClient};
    /// # async fn run(client: RpcClient) {
    /// let block = |num| RpcCall::new("block_api.get_block", serde_json::json!({ "block_num": num }));
    /// for block in client.call_batch(&[block(1), block(2)]).await {
    ///     println!("{block:?}");
    /// }
    /// # }
    /// ```
    pub async fn call_batch(&self, calls: &[RpcCall]) -> Vec<Result<Value, RpcError>> {
        self.ask_batch(calls, |_, result| any_json(result)).await
    }

    /// [`RpcClient::call_batch`] with results read by `read`, which is told the index of the call. A result that it
    /// refuses is asked for from the next node.
    pub async fn ask_batch<T>(
        &self,
        calls: &[RpcCall],
        read: impl Fn(usize, &RawValue) -> Result<T, RpcError>,
    ) -> Vec<Result<T, RpcError>> {
        let size = self.inner.config.max_batch.max(1);
        let mut results = Vec::with_capacity(calls.len());
        for (chunk, calls) in calls.chunks(size).enumerate() {
            let read = |index: usize, result: &RawValue| read(chunk * size + index, result);
            results.extend(self.ask_chunk(calls, &read).await);
        }
        results
    }

    async fn ask_chunk<T>(
        &self,
        calls: &[RpcCall],
        read: &impl Fn(usize, &RawValue) -> Result<T, RpcError>,
    ) -> Vec<Result<T, RpcError>> {
        let mut methods: Vec<&str> = calls.iter().map(RpcCall::method).collect();
        methods.sort_unstable();
        methods.dedup();
        let mut route = Route::new(self, &methods);
        let mut open = Open::new(calls, read);
        while !open.is_done() {
            let Some(stop) = route.next().await else { break };
            let began = Instant::now();
            let asked = self.ask_open(stop.index, stop.limit, &mut open).await;
            self.note(stop.index, began, asked.as_ref().err());
            if let Err(error) = asked {
                route.fail(stop.index, error);
            }
        }
        open.into_results(&route.into_error())
    }

    /// Asks a node for all that is missing; an error is what it failed at first.
    async fn ask_open<T, R: Fn(usize, &RawValue) -> Result<T, RpcError>>(
        &self,
        index: usize,
        limit: Duration,
        open: &mut Open<'_, T, R>,
    ) -> Result<(), RpcError> {
        let missing = open.missing();
        if let [_] = missing.as_slice() {
            return self.ask_singly(index, limit, open, &missing).await;
        }
        if self.fleet().refuses_batches(index) {
            return self.ask_singly(index, limit, open, &missing).await;
        }
        let first = self.new_ids(missing.len());
        let requests = missing
            .iter()
            .zip(first..)
            .filter_map(|(place, id)| open.calls.get(*place).map(|call| call.to_json(id)));
        let body = Value::Array(requests.collect()).to_string();
        let reply = self.post(index, limit, body).await?;
        match reply.judge(read_batch(&reply.body, first, missing.len())) {
            Ok(BatchAnswer::Answers(answers)) => {
                let mut outcome = Ok(());
                for (place, answer) in missing.iter().zip(answers) {
                    let unanswered =
                        RpcError::Batch { requests: missing.len(), reason: "one has no answer" };
                    let answer = answer.map_or(Err(unanswered), |one| one.map_err(RpcError::Node));
                    outcome = outcome.and(self.take(index, open, *place, answer));
                }
                outcome
            }
            Ok(BatchAnswer::Refused(error))
                if error.kind().remedy() == Remedy::NextNode
                    && error.kind() != NodeErrorKind::UnknownMethod =>
            {
                Err(error.into())
            }
            Ok(BatchAnswer::Refused(_)) => self.give_up_batches(index, limit, open, &missing).await,
            Err(RpcError::Status(status)) if is_refusal(status) => {
                self.give_up_batches(index, limit, open, &missing).await
            }
            Err(error) => Err(error),
        }
    }

    async fn give_up_batches<T, R: Fn(usize, &RawValue) -> Result<T, RpcError>>(
        &self,
        index: usize,
        limit: Duration,
        open: &mut Open<'_, T, R>,
        missing: &[usize],
    ) -> Result<(), RpcError> {
        tracing::debug!(node = %self.name(index), "the node takes no batches");
        self.fleet().refuse_batches(index);
        self.ask_singly(index, limit, open, missing).await
    }

    /// One request after another, up to the first that the node fails at. What it lacks only that request is out of.
    async fn ask_singly<T, R: Fn(usize, &RawValue) -> Result<T, RpcError>>(
        &self,
        index: usize,
        limit: Duration,
        open: &mut Open<'_, T, R>,
        missing: &[usize],
    ) -> Result<(), RpcError> {
        let mut outcome = Ok(());
        for place in missing {
            let Some(call) = open.calls.get(*place) else { continue };
            let id = self.new_ids(1);
            let reply = self.post(index, limit, call.to_json(id).to_string()).await?;
            let answer = reply.judge(super::answer::read_answer(&reply.body, id));
            match self.take(index, open, *place, answer) {
                Err(error) if error.is_failure_of_node() => return Err(error),
                taken => outcome = outcome.and(taken),
            }
        }
        outcome
    }

    /// Keeps an answer that counts; any other is the node's failure.
    fn take<T, R: Fn(usize, &RawValue) -> Result<T, RpcError>>(
        &self,
        index: usize,
        open: &mut Open<'_, T, R>,
        place: usize,
        answer: Result<&RawValue, RpcError>,
    ) -> Result<(), RpcError> {
        let answer = answer.and_then(|result| (open.read)(place, result));
        match answer {
            Err(error) if error.is_of_this_node() => {
                let is_unknown = |error: &RpcError| {
                    error.node().is_some_and(|error| error.kind() == NodeErrorKind::UnknownMethod)
                };
                if let Some(call) = open.calls.get(place).filter(|_| is_unknown(&error)) {
                    self.fleet().lack(index, call.method());
                }
                if let Some(failed) = open.failed.get_mut(place) {
                    let before = failed.take().unwrap_or(RpcError::NoNode);
                    *failed = Some(before.or_better(error.clone()));
                }
                Err(error)
            }
            answer => {
                if let Some(result) = open.results.get_mut(place) {
                    *result = Some(answer);
                }
                Ok(())
            }
        }
    }
}

/// Statuses with which a server says that it does not take such a body, or such a large one.
fn is_refusal(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_REQUEST
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::UNPROCESSABLE_ENTITY
            | StatusCode::NOT_IMPLEMENTED
    )
}

/// A batch on its way: what is answered, and why the rest is not.
struct Open<'a, T, R> {
    calls: &'a [RpcCall],
    read: &'a R,
    results: Vec<Option<Result<T, RpcError>>>,
    failed: Vec<Option<RpcError>>,
}

impl<'a, T, R> Open<'a, T, R> {
    fn new(calls: &'a [RpcCall], read: &'a R) -> Self {
        let nothing = || std::iter::repeat_with(|| None).take(calls.len());
        Self { calls, read, results: nothing().collect(), failed: vec![None; calls.len()] }
    }

    fn missing(&self) -> Vec<usize> {
        let places = self.results.iter().enumerate();
        places.filter(|(_, result)| result.is_none()).map(|(place, _)| place).collect()
    }

    fn is_done(&self) -> bool {
        self.results.iter().all(Option::is_some)
    }

    /// `failed` is why the last node gave nothing.
    fn into_results(self, failed: &RpcError) -> Vec<Result<T, RpcError>> {
        let results = self.results.into_iter().zip(self.failed);
        let missing = |own: Option<RpcError>| Err(own.unwrap_or_else(|| failed.clone()));
        results.map(|(result, own)| result.unwrap_or_else(|| missing(own))).collect()
    }
}
