"""One order of a certificate, in a process of its own: `python -P -m pyworkerd.acme.order`, told what in JSON.

The client (`acme`, certbot's) waits where it asks, and brings libraries that a server need not have in memory for the
months between two orders. A process can be ended at any time; what it leaves behind is overwritten by the next one.

Of the authority nothing is believed that is not looked at: its certificate has to be one of our key, for our hosts.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from .challenges import TOKEN
from .files import AcmeFiles, renewal, write_whole

if TYPE_CHECKING:
    from acme.client import ClientV2
    from acme.messages import OrderResource
    from josepy.jwk import JWK

DEADLINE: Final = timedelta(minutes=2)
"""For the authority to look at the answers and to sign. Let's Encrypt takes seconds."""
REASON_CHARACTERS: Final = 500
"""Of what an authority says, in our log."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered, and where everything lies. Paths are texts: it is sent as JSON."""

    directory: str
    email: str | None
    hosts: tuple[str, ...]
    folder: str
    cert: str
    key: str

    def dump(self) -> bytes:
        """For the process that does it."""
        return json.dumps(asdict(self)).encode()


class Refused(Exception):
    """The authority did not give what was ordered; the sentence says why."""


def perform(order: Order) -> None:
    """Order a certificate, prove whose the hosts are, and put it in its place. Raises whatever can go wrong."""
    from acme.crypto_util import make_csr  # noqa: PLC0415 - of an extra

    files = AcmeFiles(Path(order.folder))
    files.prepare()
    client, key = _client(order, files)
    private = Path(order.key).read_bytes()
    placed = client.new_order(make_csr(private, list(order.hosts)))
    answered: list[Path] = []
    try:
        for path, data, answer in _answers(client, key, placed, files):
            answered.append(path)
            write_whole(path, data)
            answer()
        chain = client.poll_and_finalize(placed, datetime.now() + DEADLINE).fullchain_pem.encode()  # noqa: DTZ005
    finally:
        for path in answered:
            path.unlink(missing_ok=True)
    _must_be_ours(chain, private, order.hosts)
    write_whole(Path(order.cert), chain)


def _client(order: Order, files: AcmeFiles) -> tuple[ClientV2, JWK]:
    from acme import errors, messages  # noqa: PLC0415
    from acme.client import ClientNetwork, ClientV2  # noqa: PLC0415

    key = _account_key(files.account(sha256(order.directory.encode()).hexdigest()[:16]))
    net = ClientNetwork(key, user_agent=f"pyworkerd/{version('pyworkerd')}")
    client = ClientV2(ClientV2.get_directory(order.directory, net), net)
    wanted = messages.NewRegistration.from_data(email=order.email, terms_of_service_agreed=True)
    try:
        client.new_account(wanted)
    except errors.ConflictError as known:
        client.query_registration(messages.RegistrationResource(body=wanted, uri=known.location))
    return client, key


def _account_key(path: Path) -> JWK:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from josepy.jwk import JWKRSA  # noqa: PLC0415

    if not path.exists():
        made = rsa.generate_private_key(65537, 2048)
        write_whole(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return JWKRSA.load(path.read_bytes())


def _answers(client: ClientV2, key: JWK, placed: OrderResource, files: AcmeFiles) -> Any:
    """For each host that is to be proved: the file of the answer, what is in it, and how to say that it is there."""
    from acme import challenges, messages  # noqa: PLC0415

    for proof in placed.authorizations:
        if proof.body.status == messages.STATUS_VALID:
            continue
        offered = next((c for c in proof.body.challenges if isinstance(c.chall, challenges.HTTP01)), None)
        host = proof.body.identifier.value
        if offered is None:
            raise Refused(f"the authority does not offer http-01 for {host}")
        token = offered.chall.encode("token")
        if not TOKEN.fullmatch(token):
            raise Refused(f"the authority's token for {host} is none")
        response, validation = offered.response_and_validation(key)

        def answer(challenge: Any = offered, response: Any = response) -> None:
            client.answer_challenge(challenge, response)

        yield files.challenges / token, validation.encode(), answer


def _must_be_ours(chain: bytes, private: bytes, hosts: tuple[str, ...]) -> None:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        Encoding,
        PublicFormat,
        load_pem_private_key,
    )

    of = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    signed = x509.load_pem_x509_certificates(chain)[0].public_key().public_bytes(*of)
    if signed != load_pem_private_key(private, None).public_key().public_bytes(*of):
        raise Refused("the authority's certificate is for another key")
    if renewal(chain, hosts) < datetime.now(UTC):
        raise Refused(f"the authority's certificate does not hold for {', '.join(hosts)}, or not any more")


def main() -> int:
    """Read an order, perform it, and say in one line what went wrong."""
    told = json.load(sys.stdin)
    try:
        perform(Order(**{**told, "hosts": tuple(told["hosts"])}))
    except Exception as error:  # noqa: BLE001 - the border of this process
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        sys.stderr.write(f"{reason[:REASON_CHARACTERS]}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
