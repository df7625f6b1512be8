//! Calls to whichever replica answers.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status};
use wanglou_api::dial::Dialer;
use wanglou_api::fleet::v1::fleet_service_client::FleetServiceClient;
use wanglou_api::identity::{Identity, Role};
use wanglou_api::tls::Credentials;

use crate::failure::{CallError, explain, is_of_this_replica};
use crate::settings::Settings;

/// For an answer, or for the beginning of one that goes on.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of a message: a page of a thousand hosts with long labels has room.
const MAX_MESSAGE: usize = 32 << 20;

pub(crate) type Client = FleetServiceClient<Channel>;

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
        let mut reasons = Vec::new();
        for _ in 0..self.endpoints.len() {
            match self.ask(&ask).await {
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
        ask: impl AsyncFn(Client) -> Result<Response<T>, Status>,
    ) -> Result<Result<T, Status>, String> {
        let channel = match &self.channel {
            Some(channel) => channel.clone(),
            None => {
                let dialled = self.dialer.dial(self.endpoint()).await;
                let channel = dialled.map_err(|error| error.to_string())?;
                self.channel.insert(channel).clone()
            }
        };
        let client = Client::new(channel).max_decoding_message_size(MAX_MESSAGE);
        let late = || format!("{}: no answer within {} s", self.endpoint(), ANSWER.as_secs());
        let answer = timeout(ANSWER, ask(client)).await.map_err(|_| late())?;
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
