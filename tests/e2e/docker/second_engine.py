"""A second Docker Engine on this machine: its own data, socket and TLS port."""

import contextlib
import ipaddress
import os
import shutil
import signal
import subprocess
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from prometheus_ai.adapters.docker_engine import DockerEngine, Tls
from tests.e2e.installation import free_ports

START_S = 60.0
BRIDGE = "pai-test0"
"""A bridge of its own: an engine that is told to use none removes the first engine's."""
ADDRESS = "10.213.7.1/24"


class SecondEngine:
    """Runs ``dockerd``; containers outlive it while it is told to let them."""

    def __init__(self) -> None:
        # Not pytest's: what stayed mounted there would trouble every later run.
        self.root = root = Path(tempfile.mkdtemp(prefix="pai-engine-", dir="/var/tmp"))
        self.socket = root / "docker.sock"
        (self.port,) = free_ports(1)
        self.url = f"tcp://127.0.0.1:{self.port}"
        make_certificates(root / "tls")
        link("add", "name", BRIDGE, "type", "bridge")
        subprocess.run(["ip", "addr", "add", ADDRESS, "dev", BRIDGE], check=True, timeout=10)
        link("set", BRIDGE, "up")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, keeps_containers: bool) -> None:
        """Start it, and wait until it answers."""
        tls = self.root / "tls"
        words = [
            "dockerd", "--data-root", self.root / "data", "--exec-root", self.root / "exec",
            "--pidfile", self.root / "pid", "--bridge", BRIDGE, "--iptables=false",
            "--host", f"unix://{self.socket}", "--host", self.url, "--tlsverify",
            "--tlscacert", tls / "ca.pem", "--tlscert", tls / "server.pem", "--tlskey", tls / "server-key.pem",
        ]  # fmt: skip
        if keeps_containers:
            words.append("--live-restore")
        with (self.root / "log").open("ab") as log:
            self._process = subprocess.Popen(words, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_S
        while self.docker("version", check=False).returncode != 0:
            assert time.monotonic() < deadline, (self.root / "log").read_text()[-2000:]
            time.sleep(0.1)

    def engine(self) -> DockerEngine:
        """Return a client over TLS."""
        return DockerEngine(self.url, tls=Tls(folder=self.root / "tls"))

    def docker(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run the docker command on this engine."""
        return subprocess.run(
            ["docker", "--host", f"unix://{self.socket}", *words],
            capture_output=True, text=True, check=check, timeout=120,
        )  # fmt: skip

    def take(self, image: str) -> None:
        """Copy an image from the first engine."""
        with subprocess.Popen(["docker", "save", image], stdout=subprocess.PIPE) as saving:
            subprocess.run(
                ["docker", "--host", f"unix://{self.socket}", "load"],
                stdin=saving.stdout, capture_output=True, check=True, timeout=240,
            )  # fmt: skip

    def end(self, how: signal.Signals) -> None:
        """End the engine's own process, and its containerd with it."""
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(60)
        record = self.root / "exec" / "containerd" / "containerd.pid"
        deadline = time.monotonic() + START_S
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            while True:
                assert time.monotonic() < deadline, "containerd goes on"
                # One that is still ending would be taken for a living one by the next engine.
                os.kill(int(record.read_text()), signal.SIGTERM)
                time.sleep(0.1)
        record.unlink(missing_ok=True)

    def close(self) -> None:
        """End everything, containers included."""
        if self._process is not None:
            if self._process.poll() is not None:
                self.start(keeps_containers=True)
            everything = self.docker("ps", "--all", "--quiet").stdout.split()
            if everything:
                self.docker("rm", "--force", *everything, check=False)
            found = self.docker("network", "ls", "--quiet", "--filter", "type=custom")
            for network in found.stdout.split():
                self.docker("network", "rm", network, check=False)
            self.end(signal.SIGTERM)
        link("delete", BRIDGE)
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in sorted(mounts, reverse=True):
            if mount.startswith(f"{self.root}/"):
                subprocess.run(["umount", "--lazy", mount], check=True, timeout=10)
        shutil.rmtree(self.root)


def link(*words: str) -> None:
    """Change a network interface of this machine."""
    subprocess.run(["ip", "link", *words], check=True, capture_output=True, timeout=10)


def make_certificates(folder: Path) -> None:
    """Write an authority, and certificates of a server and of a client."""
    folder.mkdir()
    authority_key, authority = _certificate("engine test authority", None, None)
    _write(folder / "ca.pem", authority)
    for name, usage in (
        ("server", ExtendedKeyUsageOID.SERVER_AUTH),
        ("client", ExtendedKeyUsageOID.CLIENT_AUTH),
    ):
        key, certificate = _certificate(name, (authority_key, authority), usage)
        certificate_name, key_name = (
            ("cert.pem", "key.pem") if name == "client" else ("server.pem", "server-key.pem")
        )
        _write(folder / certificate_name, certificate)
        (folder / key_name).write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )


def _certificate(
    name: str,
    issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None,
    usage: x509.ObjectIdentifier | None,
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[1].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if usage is not None:
        address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


def _write(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
