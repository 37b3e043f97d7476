//! An SDK is self-contained: unpacked in an empty folder, its examples build with a plain compiler and run
//! with the programs in the SDK.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use offer::shop::v1::Offer;
use ranking::shop::v1::RankRequest;
use ranking_client::ByobRankingService;
use roma_byob::{ExecuteOptions, HostCall, HostCallError, LoadOptions, Mode, Platform, Service};
use shopper::shop::v1::{CountPurchasesRequest, CountPurchasesResponse};
use shopper_host::ShopperService;

/// A bound for hangs, not for speed.
const PATIENCE: Duration = Duration::from_secs(60);

/// A developer's code: offers of makers that the shopper knows come first, then cheap ones.
const CC_EMPTY: &str = "Response Answer(const Request& /*request*/) {\n  Response response;\n";
const CC_FILLED: &str = "\
#include <algorithm>
#include <tuple>
#include <vector>

#include \"sample_udf/sdk/shopper.pb.h\"

int Count(roma::udf::Host& shop, const std::string& maker) {
  shop::v1::CountPurchasesRequest request;
  request.set_maker(maker);
  shop::v1::CountPurchasesResponse response;
  return shop.Call(\"shop.v1.ShopperService/CountPurchases\", request, response) ? response.count() : 0;
}

Response Answer(const Request& request) {
  Response response;
  std::optional<roma::udf::Host> shop = roma::udf::Host::Connect();
  if (!shop) return response;
  std::vector<std::tuple<int, int, std::string>> offers;
  for (const auto& offer : request.offers()) {
    offers.emplace_back(-Count(*shop, offer.maker()), offer.price(), offer.id());
  }
  std::sort(offers.begin(), offers.end());
  for (const auto& offer : offers) response.add_ids(std::get<2>(offer));
";
const RUST_EMPTY: &str = "fn answer(_request: Request) -> Response {\n    Response::default()\n";
const RUST_FILLED: &str = "\
use std::cmp::Reverse;

use host_shopper::ShopperClient;
use udf_interface::shop::v1::CountPurchasesRequest;

fn answer(mut request: Request) -> Response {
    let mut host = roma_udf::Host::connect().unwrap();
    let mut shopper = ShopperClient::new(&mut host);
    let mut count = |maker: &str| {
        let maker = maker.to_owned();
        shopper.count_purchases(&CountPurchasesRequest { maker }).unwrap().count
    };
    request.offers.sort_by_cached_key(|offer| (Reverse(count(&offer.maker)), offer.price));
    Response { ids: request.offers.into_iter().map(|offer| offer.id).collect() }
";
const RUST_DEPENDENCIES: &str = "[dependencies]\n";
const RUST_HOST_DEPENDENCY: &str =
    "[dependencies]\nhost-shopper = { path = \"../../helpers/rust/host-shopper\" }\n";

fn file(variable: &str) -> PathBuf {
    std::path::absolute(std::env::var_os(variable).unwrap()).unwrap()
}

/// Returns a program of a toolchain. Bazel names it by its path in actions.
fn tool(variable: &str) -> PathBuf {
    let name = std::env::var(variable).unwrap();
    let within = name
        .find("external/")
        .map_or(name.as_str(), |at| &name[at..]);
    std::path::absolute(within).unwrap()
}

fn succeeds(command: &mut Command) {
    let done = command.output().unwrap();
    assert!(
        done.status.success(),
        "{command:?}\n{}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}

/// Unpacks a zip with the file modes in it.
fn unpack(zip: &Path) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let program = "import os, sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as archive:
    for entry in archive.infolist():
        path = archive.extract(entry, sys.argv[2])
        os.chmod(path, entry.external_attr >> 16 & 0o777)";
    let mut python = Command::new("python3");
    succeeds(python.args(["-c", program]).arg(zip).arg(folder.path()));
    folder
}

fn edit(file: &Path, from: &str, to: &str) {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "no {from} in {text}");
    std::fs::write(file, text.replace(from, to)).unwrap();
}

/// Returns the library's headers and archives as flags.
fn protobuf_flags() -> (String, String) {
    let (mut headers, mut archives) = (String::new(), String::new());
    let lines = std::fs::read_to_string(file("PROTOBUF_FLAGS")).unwrap();
    for line in lines.lines() {
        let (kind, path) = line.split_once(' ').unwrap();
        let path = std::path::absolute(path).unwrap();
        match kind {
            "include" => headers.push_str(&format!(" -isystem {}", path.display())),
            _ => archives.push_str(&format!(" {}", path.display())),
        }
    }
    (headers, archives)
}

fn build_cc(sdk: &Path) -> PathBuf {
    edit(&sdk.join("examples/cc/udf.cc"), CC_EMPTY, CC_FILLED);
    let (headers, archives) = protobuf_flags();
    let udf = sdk.join("cc_udf");
    let mut build = Command::new("sh");
    build.arg("examples/cc/build.sh").arg(&udf).current_dir(sdk);
    build.env_clear().env("PATH", "/usr/bin:/bin");
    build.env("PROTOC", file("PROTOC"));
    build.env("CXXFLAGS", format!("-O0{headers}"));
    build.env("LDLIBS", format!("{archives} -pthread"));
    succeeds(&mut build);
    udf
}

fn build_rust(sdk: &Path) -> PathBuf {
    let example = sdk.join("examples/rust");
    edit(&example.join("main.rs"), RUST_EMPTY, RUST_FILLED);
    edit(
        &example.join("Cargo.toml"),
        RUST_DEPENDENCIES,
        RUST_HOST_DEPENDENCY,
    );
    let udf = sdk.join("rust_udf");
    let mut build = Command::new("sh");
    build.arg("examples/rust/build.sh").arg(&udf);
    build
        .current_dir(sdk)
        .env_clear()
        .env("PATH", "/usr/bin:/bin");
    build.env("CARGO", tool("CARGO"));
    build.env("RUSTC", tool("RUSTC"));
    build.env("CARGO_HOME", sdk.join("cargo-home"));
    succeeds(&mut build);
    udf
}

/// A shopper who has bought from `acme` only.
struct Shopper;

impl ShopperService for Shopper {
    async fn count_purchases(
        &self,
        request: CountPurchasesRequest,
        _: HostCall,
    ) -> Result<CountPurchasesResponse, HostCallError> {
        let count = u32::from(request.maker == "acme");
        Ok(CountPurchasesResponse { count })
    }
}

async fn ranks(sdk: &Path, udfs: &[PathBuf], mode: Mode) {
    let folder = tempfile::tempdir().unwrap();
    let config = Service::builder()
        .run_dir(folder.path())
        .run_workers(sdk.join("tools/run_workers"))
        .obey_environment(false);
    let config = match mode {
        Mode::Gvisor => config
            .runsc(sdk.join("tools/runsc"))
            .platform(Platform::Systrap),
        _ => config,
    };
    let config = shopper_host::register(config, Shopper);
    let client = ByobRankingService::create(config, mode).await.unwrap();
    for udf in udfs {
        let options = LoadOptions::with_workers(1).calling_host();
        let code = client.register(&**udf, options).await.unwrap();
        let offer = |id: &str, price, maker: &str| Offer {
            id: id.to_owned(),
            price,
            maker: maker.to_owned(),
        };
        let request = RankRequest {
            offers: vec![
                offer("dear", 30, "acme"),
                offer("cheap", 10, "umbrella"),
                offer("fair", 20, "acme"),
            ],
            places: 3,
            at: None,
        };
        let options = ExecuteOptions {
            queue_timeout: PATIENCE,
            deadline: PATIENCE,
            ..Default::default()
        };
        let response = client.rank(&code, &request, options).await.unwrap();
        assert_eq!(response.ids, ["fair", "dear", "cheap"], "{udf:?}");
    }
    client.shutdown().await;
}

#[tokio::test]
async fn the_examples_build_with_the_sdk_alone_and_run() {
    let sdk = unpack(&file("SDK"));
    let udfs = [build_cc(sdk.path()), build_rust(sdk.path())];
    ranks(sdk.path(), &udfs, Mode::Gvisor).await;
    ranks(sdk.path(), &udfs, Mode::Minimal).await;
}

#[test]
fn every_page_exists_and_its_links_have_targets() {
    let sdk = unpack(&file("SDK"));
    for (page, expected) in [
        ("README.md", "The shop asks programs such as yours"),
        ("README.md", "`docs/udf/host_shopper.md`"),
        ("helpers/rust/host-shopper/lib.rs", "pub struct ShopperClient"),
        ("docs/about.md", "A page of the integrator's own."),
        ("docs/udf/runtime.md", "one second"),
        (
            "docs/udf/interface.md",
            "The ids of the offers, the best first.",
        ),
        ("docs/udf/host_shopper.md", "how often the shopper"),
        ("LICENSE", "Apache License"),
        ("specs/udf_interface.proto", "service RankingService"),
        ("specs/sample_udf/sdk/offer.proto", "message Offer"),
        (
            "specs/sample_udf/sdk/shopper.proto",
            "service ShopperService",
        ),
    ] {
        let text = std::fs::read_to_string(sdk.path().join(page)).unwrap();
        assert!(text.contains(expected), "no {expected:?} in {page}");
    }
    let mut pages = vec![sdk.path().join("README.md")];
    for folder in ["docs", "docs/udf"] {
        let entries = sdk.path().join(folder).read_dir().unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    for page in pages.iter().filter(|page| page.is_file()) {
        let text = std::fs::read_to_string(page).unwrap();
        for link in text.split("](").skip(1) {
            let target = link.split([')', '#']).next().unwrap();
            let leads_out = target.contains("://");
            let there = page.parent().unwrap().join(target).exists();
            assert!(leads_out || there, "{page:?} has a link to {target}");
        }
    }
}

#[test]
fn the_docs_for_integrators_hold_only_the_pages() {
    let docs = unpack(&file("DOCS"));
    for page in [
        "docs/udf/interface.md",
        "docs/udf/host_shopper.md",
        "LICENSE",
    ] {
        assert!(docs.path().join(page).is_file(), "{page}");
    }
    assert!(!docs.path().join("tools").exists());
}
