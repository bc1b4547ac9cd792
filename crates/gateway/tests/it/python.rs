//! boto3 and the AWS command line: scripts in `tests/python`, each a list of checks.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use crate::kit::{World, options};

fn run(script: &str) {
    let Some(python) = std::env::var_os("ONCEFLOW_PYTHON") else {
        let _ = writeln!(std::io::stderr(), "skipped: {script} (ONCEFLOW_PYTHON is not set)");
        return;
    };
    let mut options = options();
    // One shard is read often here.
    options.shard_limits = None;
    let world = World::with(options);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let home = tempfile::tempdir().unwrap();
    let output = Command::new(python)
        .arg(path)
        .arg(world.url())
        .env("HOME", home.path())
        .env("AWS_ACCESS_KEY_ID", "test")
        .env("AWS_SECRET_ACCESS_KEY", "test")
        .env("AWS_DEFAULT_REGION", "us-east-1")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let wrong = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}:\n{said}{wrong}");
    assert!(said.lines().count() >= 5, "{script} checked little:\n{said}");
}

#[test]
fn boto3_on_queues() {
    run("sqs_boto3.py");
}

#[test]
fn boto3_on_streams() {
    run("kinesis_boto3.py");
}

#[test]
fn the_aws_command_line() {
    run("aws_cli.py");
}
