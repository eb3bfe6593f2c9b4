//! Object stores on this machine, each started by the test that needs it and
//! stopped with it. `make servers` installs all but the stand-in for Google's,
//! which is a part of the tests.

use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::gcs::StandIn;

/// Looks at a server that is starting, a quarter of a second apart.
const LOOKS_MAX: usize = 240;

/// The account every emulator of Azure has; its key is printed in its manual.
const AZURITE_ACCOUNT: &str = "devstoreaccount1";
const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// The bucket or container that tests use.
const BUCKET: &str = "warehouse";

/// A server that runs, and how to reach it.
pub struct Server {
    running: Running,
    /// The port it listens on.
    pub port: u16,
    /// The URL of its bucket.
    pub bucket: String,
    /// Where a run publishes to.
    pub url: String,
    /// The environment of who uses it.
    pub environment: Vec<(&'static str, String)>,
    /// The same for who uses it within the process of the tests.
    pub within: Vec<(&'static str, String)>,
    /// The variable that says how long its client waits for an answer.
    pub patience: &'static str,
}

/// What ends with a server.
enum Running {
    /// A process, and the folder of what it keeps.
    Process(Child, #[expect(dead_code, reason = "removed when dropped")] TempDir),
    /// Threads of the tests.
    Within(#[expect(dead_code, reason = "ends when dropped")] StandIn),
}

impl Server {
    /// Its process, if it has one of its own.
    pub fn process(&self) -> Option<&Child> {
        match &self.running {
            Running::Process(process, _) => Some(process),
            Running::Within(_) => None,
        }
    }

    /// The environment of who uses it through another port.
    pub fn through(&self, port: u16) -> Vec<(&'static str, String)> {
        let (own, other) = (format!(":{}", self.port), format!(":{port}"));
        let environment = self.environment.iter();
        environment.map(|(name, value)| (*name, value.replace(&own, &other))).collect()
    }

    /// The environment for a client in this process. That of Azure looks for
    /// the address of Azurite among the variables of the process alone, so here
    /// it is an account like any other, with an endpoint.
    pub fn told(&self) -> BTreeMap<String, String> {
        let azurite = self.environment.iter().find(|(name, _)| *name == "AZURITE_BLOB_STORAGE_URL");
        let told = match azurite {
            None => self.environment.clone(),
            Some((_, url)) => vec![
                ("AZURE_STORAGE_ACCOUNT_NAME", AZURITE_ACCOUNT.into()),
                ("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY.into()),
                ("AZURE_STORAGE_ENDPOINT", format!("{url}/{AZURITE_ACCOUNT}")),
                ("AZURE_ALLOW_HTTP", "true".into()),
            ],
        };
        told.into_iter().map(|(name, value)| (name.to_string(), value)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Some take their time to end politely, and keep nothing worth it.
        if let Running::Process(process, _) = &mut self.running {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Where `make servers` puts them: beside the compiled program.
pub fn installed(file: &str) -> Option<PathBuf> {
    let binary = Path::new(env!("CARGO_BIN_EXE_tenure"));
    let target = binary.parent().and_then(Path::parent).expect("a target folder");
    let path = target.join("servers").join(file);
    if !path.exists() {
        eprintln!("skipped: {} is not installed; `make servers` does it", path.display());
        return None;
    }
    Some(path)
}

/// A port nobody uses, low enough that one 10,000 higher exists as well.
fn port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let low = 10_000 + port % 40_000;
        let is_free = |port: u16| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if is_free(low) && is_free(low + 10_000) {
            return low;
        }
    }
}

fn start(
    command: &mut Command,
    port: u16,
    folder: TempDir,
    scheme: &str,
    environment: Vec<(&'static str, String)>,
) -> Server {
    command.current_dir(folder.path()).stdin(Stdio::null());
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let process = command.spawn().expect("the server starts");
    let bucket = format!("{scheme}://{BUCKET}");
    let url = format!("{bucket}/shop");
    let patience = if scheme == "az" { "AZURE_TIMEOUT" } else { "AWS_TIMEOUT" };
    let within = environment.clone();
    let running = Running::Process(process, folder);
    let server = Server { running, port, bucket, url, environment, within, patience };
    for _ in 0..LOOKS_MAX {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return server;
        }
        sleep(Duration::from_millis(250));
    }
    panic!("no server on port {port}");
}

fn s3(port: u16) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ENDPOINT", format!("http://127.0.0.1:{port}")),
        ("AWS_ALLOW_HTTP", "true".into()),
        ("AWS_REGION", "us-east-1".into()),
        ("AWS_ACCESS_KEY_ID", "testkey".into()),
        ("AWS_SECRET_ACCESS_KEY", "testsecret".into()),
    ]
}

/// SeaweedFS: persistent, checks signatures.
pub fn seaweedfs() -> Option<Server> {
    let weed = installed("venv/bin/weed")?;
    let folder = tempfile::tempdir().expect("a folder");
    let identities = r#"{"identities":[{"name":"etl",
        "credentials":[{"accessKey":"testkey","secretKey":"testsecret"}],
        "actions":["Admin","Read","Write","List","Tagging"]}]}"#;
    std::fs::write(folder.path().join("s3.json"), identities).expect("a file");
    let s3_port = port();
    let mut command = Command::new(weed);
    command.args(["server", "-dir=.", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]);
    command.args(["-master.telemetry=false", "-master.electionTimeout=1s"]);
    command.arg(format!("-master.port={}", port()));
    command.arg(format!("-volume.port={}", port()));
    command.args(["-filer".to_string(), format!("-filer.port={}", port())]);
    command.args(["-s3".to_string(), format!("-s3.port={s3_port}")]);
    command.args(["-s3.config=s3.json", "-s3.port.iceberg=0", "-s3.port.lance=0"]);
    command.args(["-master.volumeSizeLimitMB=256", "-volume.max=0", "-s3.autoCreateBucket=true"]);
    Some(start(&mut command, s3_port, folder, "s3", s3(s3_port)))
}

/// moto: a second opinion on the protocol of S3.
pub fn moto() -> Option<Server> {
    let moto = installed("venv/bin/moto_server")?;
    let port = port();
    let mut command = Command::new(moto);
    command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
    let folder = tempfile::tempdir().expect("a folder");
    let server = start(&mut command, port, folder, "s3", s3(port));
    // It asks for no signature.
    put(port, &format!("/{BUCKET}"));
    Some(server)
}

/// s3rver: accepts conditions and ignores them.
pub fn s3rver() -> Option<Server> {
    let s3rver = installed("node_modules/.bin/s3rver")?;
    let port = port();
    let mut command = Command::new(s3rver);
    command.args(["-d", ".", "-a", "127.0.0.1", "-p", &port.to_string()]);
    command.args(["--configure-bucket", BUCKET]);
    let mut environment = s3(port);
    for (name, value) in &mut environment {
        match *name {
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => *value = "S3RVER".into(),
            _ => {}
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    Some(start(&mut command, port, folder, "s3", environment))
}

/// Azurite: Azure's own emulator.
pub fn azurite() -> Option<Server> {
    let azurite = installed("node_modules/.bin/azurite-blob")?;
    let python = installed("venv/bin/python")?;
    let port = port();
    let mut command = Command::new(azurite);
    command.args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
    command.args(["--location", ".", "--silent", "--disableTelemetry", "--skipApiVersionCheck"]);
    let endpoint = format!("http://127.0.0.1:{port}");
    let environment = vec![
        ("AZURE_STORAGE_USE_EMULATOR", "true".into()),
        ("AZURITE_BLOB_STORAGE_URL", endpoint.clone()),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = start(&mut command, port, folder, "az", environment);
    // Where the emulator is, its client looks up in the environment of the
    // process, which all tests share; so here it is an account like others.
    server.within = vec![
        ("AZURE_STORAGE_ACCOUNT_NAME", AZURITE_ACCOUNT.into()),
        ("AZURE_STORAGE_ACCOUNT_KEY", AZURITE_KEY.into()),
        ("AZURE_STORAGE_ENDPOINT", format!("{endpoint}/{AZURITE_ACCOUNT}")),
        ("AZURE_ALLOW_HTTP", "true".into()),
    ];
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/stores/container.py");
    let made = Command::new(python).arg(script).args([&endpoint, BUCKET, AZURITE_KEY]).status();
    assert!(made.expect("python starts").success(), "the container is made");
    Some(server)
}

/// The stand-in for Google Cloud Storage.
pub fn gcs() -> Server {
    let stand_in = StandIn::start(BUCKET);
    let environment = vec![("GOOGLE_SERVICE_ACCOUNT_KEY", stand_in.account())];
    let bucket = format!("gs://{BUCKET}");
    Server {
        port: stand_in.port,
        running: Running::Within(stand_in),
        url: format!("{bucket}/shop"),
        bucket,
        within: environment.clone(),
        environment,
        patience: "GOOGLE_TIMEOUT",
    }
}

/// A PUT of nothing.
fn put(port: u16, path: &str) {
    use std::io::{Read, Write};
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    let request = format!(
        "PUT {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
