//! Calls to whichever replica answers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tonic::{Response, Status};
use wanglou_api::dial::Dialer;
use wanglou_api::fleet::v1::event_service_client::EventServiceClient;
use wanglou_api::fleet::v1::fleet_service_client::FleetServiceClient;
use wanglou_api::identity::{Identity, Role};
use wanglou_api::tls::Credentials;

use crate::failure::{CallError, explain, is_of_this_replica};
use crate::settings::Settings;

/// For an answer, or for the beginning of one that goes on.
const ANSWER: Duration = Duration::from_secs(10);
/// For one that has to be searched for in what is stored.
const SEARCH: Duration = Duration::from_secs(60);
/// Until another replica is asked; twice as long each time it was in vain.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(10);
/// Bytes of a message: a page of a thousand hosts with long labels has room.
const MAX_MESSAGE: usize = 32 << 20;

pub(crate) type Client = FleetServiceClient<Channel>;
pub(crate) type EventClient = EventServiceClient<Channel>;

/// The fleet, by way of its replicas.
pub(crate) struct Fleet {
    dialer: Dialer,
    identity: Identity,
    endpoints: Vec<String>,
    /// Which of them is asked.
    at: usize,
    /// To it, if it has answered.
    channel: Option<Channel>,
}

impl Fleet {
    /// Reads certificates, and calls nobody yet.
    pub(crate) fn new(settings: Settings) -> Result<Self> {
        let Settings { endpoints, certificate, key, authorities, .. } = settings;
        let credentials = Credentials::read(&certificate, &key, &authorities)?;
        let identity = credentials.identity().clone();
        if identity.role != Role::Operator {
            let path = certificate.display();
            bail!(
                "{path} is the certificate of {identity}: one of an operator is needed (--certificate)"
            );
        }
        let dialer = Dialer::new(&credentials).with_context(|| {
            format!("{} and {} do not serve", certificate.display(), key.display())
        })?;
        Ok(Self { dialer, identity, endpoints, at: 0, channel: None })
    }

    /// Who asks.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who is asked.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoints[self.at]
    }

    /// Asks the replica that answered last, and then each of the others, until one has an answer that another would
    /// not have. What is asked may be asked twice.
    pub(crate) async fn call<T>(
        &mut self,
        what: &'static str,
        ask: impl AsyncFn(Client) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let client = |channel| Client::new(channel).max_decoding_message_size(MAX_MESSAGE);
        self.call_within(ANSWER, what, async |channel| ask(client(channel)).await).await
    }

    /// The same about events.
    pub(crate) async fn call_events<T>(
        &mut self,
        what: &'static str,
        ask: impl AsyncFn(EventClient) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let client = |channel| EventClient::new(channel).max_decoding_message_size(MAX_MESSAGE);
        self.call_within(SEARCH, what, async |channel| ask(client(channel)).await).await
    }

    async fn call_within<T>(
        &mut self,
        patience: Duration,
        what: &'static str,
        ask: impl AsyncFn(Channel) -> Result<Response<T>, Status>,
    ) -> Result<T, CallError> {
        let mut reasons = Vec::new();
        for _ in 0..self.endpoints.len() {
            match self.ask(patience, &ask).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(status)) if !is_of_this_replica(&status) => {
                    return Err(self.refused(what, &status));
                }
                Ok(Err(status)) => {
                    let reason = explain(&status, &self.identity);
                    reasons.push(format!("{}: {reason}", self.endpoint()));
                }
                Err(reason) => reasons.push(reason),
            }
            self.leave();
        }
        Err(CallError::Nobody { what, reasons })
    }

    /// What the end of a stream that a call has begun means; the next call goes to another replica if it broke.
    pub(crate) fn ended(&mut self, what: &'static str, status: &Status) -> CallError {
        if !is_of_this_replica(status) {
            return self.refused(what, status);
        }
        let reason = format!("{}: {}", self.endpoint(), explain(status, &self.identity));
        self.leave();
        CallError::Nobody { what, reasons: vec![reason] }
    }

    /// Asks another replica the next time, if there is one.
    pub(crate) fn leave(&mut self) {
        self.channel = None;
        self.at = (self.at + 1) % self.endpoints.len();
    }

    async fn ask<T>(
        &mut self,
        patience: Duration,
        ask: impl AsyncFn(Channel) -> Result<Response<T>, Status>,
    ) -> Result<Result<T, Status>, String> {
        let channel = match &self.channel {
            Some(channel) => channel.clone(),
            None => {
                let dialled = self.dialer.dial(self.endpoint()).await;
                let channel = dialled.map_err(|error| error.to_string())?;
                self.channel.insert(channel).clone()
            }
        };
        let late = || format!("{}: no answer within {} s", self.endpoint(), patience.as_secs());
        let answer = timeout(patience, ask(channel)).await.map_err(|_| late())?;
        Ok(answer.map(Response::into_inner))
    }

    fn refused(&self, what: &'static str, status: &Status) -> CallError {
        CallError::Refused {
            what,
            endpoint: self.endpoint().to_owned(),
            reason: explain(status, &self.identity),
            code: status.code(),
        }
    }
}

/// Opens a stream that broke: until one of the replicas answers.
pub(crate) async fn again<T>(
    mut open: impl AsyncFnMut() -> Result<T, CallError>,
) -> Result<T, CallError> {
    let mut pause = FIRST_PAUSE;
    loop {
        sleep(pause).await;
        match open().await {
            Err(error) if error.is_passing() => pause = (pause * 2).min(LAST_PAUSE),
            other => return other,
        }
    }
}
