//! What all hosts of this process share.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use rcgen::{KeyPair, SanType};
use rustls::ClientConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::{CertifiedKey, SigningKey, SingleCertAndKey};
use tokio::sync::Semaphore;
use wanglou_api::identity::Name;
use wanglou_api::order::v1::{Order, SignedOrder};
use wanglou_api::signing::{self, May, OrderError, Verifier};
use wanglou_api::tls::{self, Credentials, Sight};
use wanglou_fleet_testkit::Pki;
use wanglou_fleet_testkit::swarm::{Report, Setup};
use wanglou_fleet_testkit::truth::{Event, Record, now};

/// Handshakes at once, so that none takes longer than its time only because others run here as well.
const HANDSHAKES: usize = 64;

/// Counted since the beginning, but for `welcome` and `stopped`, which are now.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) welcome: AtomicU64,
    pub(crate) calls: AtomicU64,
    pub(crate) welcomes: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) messages: AtomicU64,
    pub(crate) orders: AtomicU64,
    pub(crate) obeyed: AtomicU64,
    pub(crate) stopped: AtomicU64,
    pub(crate) lies: AtomicU64,
}

/// The last order, and what came of looking at it.
type Seen = Option<(SignedOrder, Result<Arc<Order>, OrderError>)>;

pub(crate) struct World {
    pub(crate) fleet: Name,
    pub(crate) counts: Counts,
    pub(crate) places: Semaphore,
    pub(crate) obeys_after: Duration,
    /// As all hosts have it, but for the certificate.
    tls: ClientConfig,
    pki: Pki,
    /// Of all hosts here: a key pair each would take longer to make than everything else.
    key: KeyPair,
    signing: Arc<dyn SigningKey>,
    endpoints: Mutex<Arc<[String]>>,
    believed: Vec<Verifier>,
    /// The same order comes to all: its signature is looked at once, or the time that others take would be ours.
    seen: Mutex<Seen>,
    truth: Mutex<BufWriter<File>>,
    last_failure: Mutex<String>,
}

impl World {
    pub(crate) fn new(setup: Setup) -> Result<Self> {
        let fleet: Name = setup.fleet.parse()?;
        let pki = Pki::load(&setup.authority)?;
        let key = KeyPair::generate()?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&private)?;
        let mut believed = read_keys(&setup.stop_keys, May::Stop)?;
        believed.extend(read_keys(&setup.operator_keys, May::StopAndStart)?);
        let truth = File::create(&setup.truth)
            .with_context(|| format!("cannot write {}", setup.truth.display()))?;
        Ok(Self {
            tls: client(&pki, &fleet)?,
            fleet,
            counts: Counts::default(),
            places: Semaphore::new(HANDSHAKES),
            obeys_after: Duration::from_millis(setup.obeys_after_milliseconds),
            pki,
            key,
            signing,
            endpoints: Mutex::new(setup.endpoints.into()),
            believed,
            seen: Mutex::new(None),
            truth: Mutex::new(BufWriter::new(truth)),
            last_failure: Mutex::default(),
        })
    }

    /// A certificate for a host.
    pub(crate) fn certificate(&self, id: &str) -> Result<Arc<CertifiedKey>> {
        let uri = format!("spiffe://{}/host/{id}", self.fleet);
        let uri = SanType::URI(uri.as_str().try_into()?);
        let issued =
            self.pki.issue_with(&self.key, |params| params.subject_alt_names = vec![uri])?;
        Ok(Arc::new(CertifiedKey::new(vec![issued.certificate], Arc::clone(&self.signing))))
    }

    pub(crate) fn tls(&self, certificate: &Arc<CertifiedKey>) -> Arc<ClientConfig> {
        let mut config = self.tls.clone();
        config.client_auth_cert_resolver =
            Arc::new(SingleCertAndKey::from(Arc::clone(certificate)));
        Arc::new(config)
    }

    pub(crate) fn endpoints(&self) -> Arc<[String]> {
        Arc::clone(&lock(&self.endpoints))
    }

    pub(crate) fn move_to(&self, addresses: Vec<String>) {
        *lock(&self.endpoints) = addresses.into();
    }

    /// What an order says, if it is one.
    pub(crate) fn verify(&self, order: &SignedOrder) -> Result<Arc<Order>, OrderError> {
        let mut seen = lock(&self.seen);
        match &*seen {
            Some((last, result)) if last == order => result.clone(),
            _ => {
                let result = signing::verify(order, &self.believed, &self.fleet).map(Arc::new);
                *seen = Some((order.clone(), result.clone()));
                result
            }
        }
    }

    /// Writes down what was, now.
    pub(crate) fn record(&self, host: &str, event: Event) {
        let mut truth = lock(&self.truth);
        // Within the lock, so that the file is in the order of time.
        let record = Record { at: now(), host: host.to_owned(), event };
        if let Err(error) = serde_json::to_writer(&mut *truth, &record)
            .map_err(std::io::Error::from)
            .and_then(|()| truth.write_all(b"\n"))
        {
            eprintln!("swarm: cannot write down what was: {error}");
        }
    }

    pub(crate) fn failed(&self, why: String) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        *lock(&self.last_failure) = why;
    }

    pub(crate) fn report(&self) -> Result<Report> {
        lock(&self.truth).flush()?;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Ok(Report {
            welcome: read(&self.counts.welcome),
            calls: read(&self.counts.calls),
            welcomes: read(&self.counts.welcomes),
            failures: read(&self.counts.failures),
            last_failure: lock(&self.last_failure).clone(),
            messages: read(&self.counts.messages),
            orders: read(&self.counts.orders),
            obeyed: read(&self.counts.obeyed),
            stopped: read(&self.counts.stopped),
            lies: read(&self.counts.lies),
        })
    }
}

fn client(pki: &Pki, fleet: &Name) -> Result<ClientConfig> {
    let folder = tempfile::tempdir()?;
    let files = pki.issue(&format!("spiffe://{fleet}/host/any"))?.write(folder.path(), "any")?;
    let any = Credentials::read(&files.certificate, &files.key, &files.authorities)?;
    Ok(tls::client(&any, fleet, Sight::OwnClock)?)
}

fn read_keys(paths: &[PathBuf], may: May) -> Result<Vec<Verifier>> {
    let read = |path: &Path| -> Result<_> { Ok(Verifier::from_pem(&fs::read(path)?, may)?) };
    paths.iter().map(|path| read(path).with_context(|| path.display().to_string())).collect()
}

/// What is within is whole after every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
