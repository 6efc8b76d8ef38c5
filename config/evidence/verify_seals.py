#!/usr/bin/env python3
"""Verifies seals of qasphere-siem-forwarder and the records they cover, without any code of the forwarder.

    python3 verify_seals.py --seals DIR --records FILE --public-key FILE [--sink NAME]

Needs Python 3.9; the package `cryptography` only for signatures. It holds one hash for each record in memory.
Exit codes: 0 both proved, 65 broken, 66 not covered, 64 usage, 78 unreadable input. README.md has the format.
"""

import argparse
import base64
import gzip
import hashlib
import json
import os
import re
import sys
from datetime import datetime, timezone

NO_SEAL = "0" * 64
EMPTY_ROOT = hashlib.sha256(b"").hexdigest()
BROKEN, NOT_COVERED = "broken", "not covered"
INTEGRITY, COMPLETENESS = "integrity", "completeness"


class InputError(Exception):
    pass


# RFC 8785. Seals hold strings, whole numbers, null, true, lists and objects, so json.dumps writes them as the RFC wants;
# keys are ASCII, so their order by code point is that by UTF-16 code unit.
def canonical(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def sha256(data):
    return hashlib.sha256(data).digest()


# RFC 6962 section 2.1
def leaf_hash(event_id, record):
    return sha256(b"\x00" + str(event_id).encode() + b"\n" + record)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def merkle_root(leaves):
    if not leaves:
        return sha256(b"")
    level = list(leaves)
    # Joining neighbours level by level gives the RFC's tree: a node without a neighbour moves up unchanged.
    while len(level) > 1:
        joined = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = joined + ([level[-1]] if len(level) % 2 else [])
    return level[0]


def root_of_frontier(frontier):
    if not frontier:
        return sha256(b"")
    root = frontier[-1]
    for left in reversed(frontier[:-1]):
        root = node_hash(left, root)
    return root


def parse_ranges(text):
    """'100-200,203' as [(100, 200), (203, 203)]; None if it is not ascending and disjoint."""
    if text == "":
        return []
    ranges, last = [], -1
    for part in text.split(","):
        match = re.fullmatch(r"(\d{1,20})(?:-(\d{1,20}))?", part)
        if match is None:
            return None
        low, high = int(match[1]), int(match[2] or match[1])
        if low <= last or high < low:
            return None
        ranges.append((low, high))
        last = high
    return ranges


def size_of(ranges):
    return sum(high - low + 1 for low, high in ranges)


def contains(ranges, number):
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        if ranges[middle][1] < number:
            low = middle + 1
        else:
            high = middle
    return low < len(ranges) and ranges[low][0] <= number


def merged(ranges):
    result = []
    for low, high in sorted(ranges):
        if result and low <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(high, result[-1][1]))
        else:
            result.append((low, high))
    return result


def overlap(ranges):
    last = -1
    for low, high in sorted(ranges):
        if low <= last:
            return True
        last = high
    return False


def parse_time(text):
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


HASH = re.compile(r"[0-9a-f]{64}")
REQUIRED = {
    "seq": int, "tenant": str, "sink": str, "software": dict, "config": str, "from": dict, "to": dict,
    "delivered": dict, "filtered": dict, "deadLettered": dict, "source": str, "records": str, "tree": dict,
    "proof": str, "epoch": int, "prev": str,
}


def seal_problem(seal):
    """What is wrong with the members of a seal; None if nothing is."""
    if seal.get("v") != 1:
        return "its version is not 1"
    for name, kind in REQUIRED.items():
        if not isinstance(seal.get(name), kind) or isinstance(seal.get(name), bool):
            return f"its member {name} is missing or invalid"
    for name in ("config", "source", "records", "prev"):
        if not HASH.fullmatch(seal[name]):
            return f"its member {name} is no hash"
    try:
        for edge in ("from", "to"):
            int(seal[edge]["after"])
            parse_time(seal[edge]["at"])
        for kind in ("delivered", "filtered", "deadLettered"):
            ranges = parse_ranges(seal[kind]["ids"])
            if ranges is None or size_of(ranges) != seal[kind]["count"]:
                return f"its member {kind} is invalid"
        if not all(HASH.fullmatch(one) for one in [seal["tree"]["root"], *seal["tree"]["frontier"]]):
            return "its member tree is invalid"
        if not isinstance(seal["tree"]["size"], int):
            return "its member tree is invalid"
        for entry in [*seal.get("resent", []), *seal.get("operations", [])]:
            if parse_ranges(entry.get("ids", "")) is None:
                return "its member resent or operations is invalid"
    except (KeyError, TypeError, ValueError):
        return "a member is missing or invalid"
    if seal["seq"] < 1 or "key" not in seal or "sig" not in seal:
        return "a member is missing or invalid"
    return None


def lines_of(path):
    """(number, bytes) of each line of a file, gzip or not; '-' is standard input."""
    try:
        source = sys.stdin.buffer if path == "-" else open(path, "rb")
        with source:
            head = source.peek(2)[:2]
            reader = gzip.GzipFile(fileobj=source) if head == b"\x1f\x8b" else source
            for number, line in enumerate(reader, 1):
                yield number, line.rstrip(b"\n")
    except (OSError, EOFError) as error:
        raise InputError(f"{path} can't be read: {error}") from None


def exported(line):
    """('record', id, bytes), ('status', body), or None for a line that is neither."""
    line = line.rstrip(b"\r")
    if not line.startswith(b"{"):
        return exported_text(line)
    try:
        text = line.decode()
        value = json.loads(text)
    except (UnicodeDecodeError, ValueError):
        return None
    # An event may get members of any name: what identifies it comes first.
    is_event = "id" in value and isinstance(value.get("action"), str)
    if is_event:
        value = {"id": value["id"]}
    result = value.get("result")
    inner = value.get("_raw") if isinstance(value.get("_raw"), str) else None
    if inner is None and isinstance(result, dict) and isinstance(result.get("_raw"), str):
        inner = result["_raw"]
    if inner is not None:
        return exported(inner.encode())
    if "event" in value and any(name in value for name in ("time", "sourcetype", "host", "index")):
        return exported(value["event"].encode() if isinstance(value["event"], str) else member_text(text, "event").encode())
    if isinstance(value.get("forwarder"), dict):
        return ("status", value["forwarder"])
    event, metadata = value.get("event"), value.get("metadata")
    candidates = [value.get("id"), event.get("id") if isinstance(event, dict) else None,
                  metadata.get("uid") if isinstance(metadata, dict) else None]
    for candidate in candidates:
        if isinstance(candidate, int) and not isinstance(candidate, bool) or isinstance(candidate, str) and candidate.isdigit():
            return ("record", int(candidate), line)
    return None


def exported_text(line):
    match = re.search(rb"(?:^|[ :])(CEF:\d|LEEF:\d)", line)
    if match:
        record = line[match.start(1):]
        event_id = re.search(rb"[ |^\t](?:externalId|eventId)=(\d{1,20})(?=[ ^\t]|$)", record)
        if event_id:
            return ("record", int(event_id[1]), record)
    for match in re.finditer(rb" (?=\{)", line):
        try:
            json.loads(line[match.end():])
        except ValueError:
            continue
        return exported(line[match.end():])
    return None


def member_text(text, name):
    """The text of a member of a JSON object, as it is written."""
    decoder = json.JSONDecoder()
    at = text.index("{") + 1
    while True:
        while text[at] in " \t\r\n,":
            at += 1
        key, at = decoder.raw_decode(text, at)
        while text[at] in " \t\r\n:":
            at += 1
        start = at
        _, at = decoder.raw_decode(text, at)
        if key == name:
            return text[start:at]


class Found:
    def __init__(self, seal, line, place, is_line):
        self.seal, self.line, self.place, self.is_line = seal, line, place, is_line


def read_seals(path):
    """The seals, and what is damaged."""
    if os.path.isdir(path):
        files = sorted(
            os.path.join(folder, name)
            for folder, _, names in os.walk(path) for name in names
            if re.search(r"\.(ndjson|jsonl|json)(\.gz)?$", name)
        )
    else:
        files = [path]
    found, damaged = [], []
    for file in files:
        own, foreign, broken = [], [], []
        for number, line in lines_of(file):
            if not line:
                continue
            place = f"{file}:{number}"
            try:
                value = json.loads(line.decode())
            except (UnicodeDecodeError, ValueError):
                value = None
            is_line = isinstance(value, dict) and all(name in value for name in ("prev", "seq", "tree"))
            seal = value if is_line else None
            if not is_line:
                record = exported(line)
                if record is None and value is None and re.search(rb'"(amends|config|deadLettered)":', line[:100]):
                    broken.append(f"{place}: it is cut off")
                elif record is None:
                    foreign.append(f"{file} line {number} is no seal")
                elif record[0] == "status" and record[1].get("event") == "forwarder.sealed":
                    seal = record[1].get("seal")
                else:
                    foreign.append(f"{file} line {number} is no seal")
            if isinstance(seal, dict):
                problem = seal_problem(seal)
                if problem:
                    broken.append(f"{place}: {problem}")
                    continue
                text = line.decode() if is_line else canonical(seal)
                own.append(Found(seal, text, place, is_line))
        is_export = any(not one.is_line for one in own)
        if foreign and not own and not broken:
            raise InputError(foreign[0])
        if len({(one.seal["tenant"], one.seal["sink"]) for one in own if one.is_line}) > 1:
            broken.append(f"{file}: it holds seals of several chains, so some were moved")
        found += own
        damaged += broken + ([] if is_export else foreign)
    return found, damaged


class Keys:
    """Follows the keys of a chain from the one that is trusted."""

    def __init__(self, pem):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        self._invalid, self._serialization, self._ed25519 = InvalidSignature, serialization, Ed25519PublicKey
        text = re.search(rb"-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----", pem, re.S)
        if text is None:
            raise InputError("the public key is no PEM")
        self._trust(serialization.load_pem_public_key(text[0]))

    def _trust(self, key):
        if not isinstance(key, self._ed25519):
            raise InputError("the public key is no Ed25519 key")
        raw = key.public_bytes(self._serialization.Encoding.Raw, self._serialization.PublicFormat.Raw)
        self._key, self.id = key, hashlib.sha256(raw).hexdigest()[:16]

    def problem(self, seal):
        if seal["key"] is None or seal["sig"] is None:
            return "it is not signed"
        if seal["key"] != self.id:
            return f"it is signed with key {seal['key']}, not with {self.id}"
        unsigned = {name: value for name, value in seal.items() if name != "sig"}
        try:
            self._key.verify(base64.b64decode(seal["sig"], validate=True), canonical(unsigned).encode())
        except (self._invalid, ValueError):
            return "its signature is wrong"
        if "nextKey" in seal:
            try:
                self._trust(self._serialization.load_der_public_key(base64.b64decode(seal["nextKey"], validate=True)))
            except (ValueError, InputError):
                return "its nextKey is no Ed25519 key"
        return None


class Verifier:
    def __init__(self):
        self.flaws = []

    def flaw(self, verdict, about, detail):
        self.flaws.append((verdict, about, detail))

    def verdict(self, about):
        own = [verdict for verdict, of, _ in self.flaws if of == about]
        return BROKEN if BROKEN in own else NOT_COVERED if NOT_COVERED in own else "proved"

    def chain(self, found, keys, start, end):
        """Verifies the chain; returns the seals of the range, how many are valid, and whether it holds the newest one."""
        if any(not one.is_line for one in found):
            found = sorted({one.line: one for one in found}.values(), key=lambda one: one.seal["seq"])
        seals = [
            one for one in found
            if (start is None or parse_time(one.seal["to"]["at"]) >= start)
            and (end is None or parse_time(one.seal["from"]["at"]) <= end)
        ]
        valid, signed, earlier = 0, 0, {}
        for index, one in enumerate(seals):
            before = len(self.flaws)
            seal, last = one.seal, seals[index - 1] if index else None

            def broken(detail, one=one):
                self.flaw(BROKEN, INTEGRITY, f"seal {one.seal['seq']} ({one.place}): {detail}")

            self.own(one, broken)
            if last is None:
                self.first(seal, broken)
            else:
                self.follows(one, last, broken)
            if (seal["key"] is None) != (seal["sig"] is None):
                broken("it has a key or a signature, and not the other")
            elif keys is not None:
                problem = keys.problem(seal)
                if problem:
                    broken(problem)
            elif seal["key"] is None and signed:
                broken("it is not signed, and seals before it are")
            signed += seal["key"] is not None
            self.amendment(seal, earlier, broken, start is not None or not one.is_line)
            earlier[seal["seq"]] = seal
            valid += len(self.flaws) == before
        if not seals:
            self.flaw(NOT_COVERED, COMPLETENESS, "no seal lies in the range that was asked for")
            return [], 0, False
        first, last = seals[0].seal, seals[-1].seal
        if start is None and first["seq"] != 1:
            self.flaw(NOT_COVERED, COMPLETENESS, f"the chain begins with seal {first['seq']}")
        if start is not None and parse_time(first["from"]["at"]) > start:
            self.flaw(NOT_COVERED, COMPLETENESS, f"nothing is sealed before {first['from']['at']}")
        if end is not None and parse_time(last["to"]["at"]) < end:
            self.flaw(NOT_COVERED, COMPLETENESS, f"nothing is sealed after {last['to']['at']}")
        if keys is None and signed:
            self.flaw(NOT_COVERED, INTEGRITY, "the seals are signed, and no public key is given")
        newest = found[-1].seal
        whole = last is newest and (end is None or end > parse_time(newest["to"]["at"]))
        return seals, valid, whole

    def own(self, one, broken):
        seal = one.seal
        if one.is_line and one.line != canonical(seal):
            broken("its line is not canonical JSON, so it was altered")
        after, to = int(seal["from"]["after"]), int(seal["to"]["after"])
        if parse_time(seal["to"]["at"]) < parse_time(seal["from"]["at"]):
            broken("it ends before it begins: the clock was reset")
        if to < after:
            broken("it ends before its first id")
        ids = ids_of(seal)
        if overlap(ids):
            broken("an id is in two of delivered, filtered and deadLettered")
        if "amends" not in seal and any(low <= after or high > to for low, high in ids):
            broken("it names ids outside its interval")
        if count_of(seal) == 0 and seal["source"] != EMPTY_ROOT:
            broken("it is empty, and its source root is not")
        if seal["delivered"]["count"] == 0 and seal["records"] != EMPTY_ROOT:
            broken("it delivered nothing, and its records root says otherwise")
        tree = seal["tree"]
        if len(tree["frontier"]) != bin(tree["size"]).count("1"):
            broken("its tree has a frontier that does not fit its size")
        elif root_of_frontier([bytes.fromhex(one) for one in tree["frontier"]]).hex() != tree["root"]:
            broken("its tree root does not follow from its frontier")

    def first(self, seal, broken):
        if seal["seq"] != 1:
            return
        if seal["prev"] != NO_SEAL:
            broken("it is the first, and names one before it")
        if seal["tree"]["size"] != count_of(seal):
            broken("its tree does not begin with it")

    def follows(self, one, before, broken):
        seal, last = one.seal, before.seal
        if seal["seq"] <= last["seq"]:
            return broken(f"it comes after seal {last['seq']}: a line is doubled or misplaced")
        if seal["seq"] > last["seq"] + 1:
            self.flaw(NOT_COVERED, COMPLETENESS, f"no seal covers the time from {last['to']['at']} to {seal['from']['at']}")
            return broken(f"the seals {last['seq'] + 1} to {seal['seq'] - 1} are missing before it")
        if seal["prev"] != hashlib.sha256(before.line.encode()).hexdigest():
            broken(f"it does not continue seal {last['seq']}: one of them was altered")
        if parse_time(seal["from"]["at"]) != parse_time(last["to"]["at"]):
            broken(f"it begins at {seal['from']['at']}, and seal {last['seq']} ends at {last['to']['at']}")
        if seal["tree"]["size"] != last["tree"]["size"] + count_of(seal):
            broken("its tree does not grow by its events")
        elif count_of(seal) == 0 and seal["tree"]["root"] != last["tree"]["root"]:
            broken("it is empty, and its tree is another one")
        if "amends" in seal:
            return None
        after, end = int(seal["from"]["after"]), int(last["to"]["after"])
        moved = seal.get("recovered") is True or any(one["op"] != "replay" for one in seal.get("operations", []))
        if after < end and not moved:
            broken(f"it begins at id {after}, before the end of seal {last['seq']}")
        if after > end:
            self.flaw(NOT_COVERED, COMPLETENESS, f"no seal covers the ids {end + 1} to {after}")
        return None

    def amendment(self, seal, earlier, broken, is_part):
        if "amends" not in seal:
            return
        amended = earlier.get(seal["amends"])
        if amended is None:
            if not is_part:
                broken(f"it amends seal {seal['amends']}, which is not before it")
            return
        after, to = int(amended["from"]["after"]), int(amended["to"]["after"])
        if any(low <= after or high > to for low, high in ids_of(seal)):
            broken(f"it names ids outside the interval of seal {seal['amends']}")
        elif overlap([*ids_of(seal), *ids_of(amended)]):
            broken(f"it names ids that seal {seal['amends']} has")

    def records(self, seals, path, whole, sink):
        """Compares the records with the seals; returns the counts of the report."""
        copies, lines, newest_named, beyond = {}, 0, 0, []
        newest = seals[-1].seal if seals else None
        end = max((int(one.seal["to"]["after"]) for one in seals), default=0)
        start = min((int(one.seal["from"]["after"]) for one in seals), default=0)
        for number, line in lines_of(path):
            if not line:
                continue
            record = exported(line)
            if record is None:
                raise InputError(f"{path} line {number} is no record")
            lines += 1
            if record[0] == "status":
                body = record[1]
                if body.get("sink") == sink and newest:
                    seal = body.get("seal")
                    named = seal.get("seq") if isinstance(seal, dict) else body.get("seal_seq")
                    # Older records may name seals of a state that was lost and recovered.
                    later = parse_time(body.get("at", "1970-01-01")) > parse_time(newest["to"]["at"])
                    if isinstance(named, int) and (named <= newest["seq"] or later):
                        newest_named = max(newest_named, named)
            elif start < record[1] <= end:
                copies.setdefault(record[1], []).append(leaf_hash(record[1], record[2]))
            elif record[1] > end and whole:
                beyond.append(record[1])
        if lines == 0:
            self.flaw(NOT_COVERED, COMPLETENESS, f"{path} holds no records")
        resent = merged(r for one in seals for entry in one.seal.get("resent", []) for r in parse_ranges(entry["ids"]))
        replayed = merged(r for one in seals for entry in one.seal.get("operations", []) for r in parse_ranges(entry.get("ids", "")))
        every = [r for one in seals for r in parse_ranges(one.seal["delivered"]["ids"])]
        delivered, sealed = merged(every), merged(r for one in seals for r in ids_of(one.seal))
        again = merged((max(a[0], b[0]), min(a[1], b[1])) for a, b in zip(sorted(every), sorted(every)[1:]) if b[0] <= a[1])
        counts = {"delivered": size_of(delivered), "present": 0, "changed": 0, "duplicated": 0, "announced": 0, "unknown": 0}

        def is_announced(number):
            return contains(resent, number) or contains(replayed, number) or contains(again, number)

        for number in sorted(copies):
            more = len(copies[number]) - 1
            if contains(delivered, number):
                counts["present"] += 1
                counts["duplicated"] += more
                if more and is_announced(number):
                    counts["announced"] += more
                elif more:
                    self.flaw(BROKEN, COMPLETENESS, f"id {number} is there {more + 1} times, and no seal announces it")
            elif contains(replayed, number):
                if not contains(sealed, number):
                    self.flaw(NOT_COVERED, INTEGRITY, f"id {number} was delivered by a replay, and no seal covers it")
            else:
                counts["unknown"] += more + 1
                self.flaw(BROKEN, INTEGRITY, f"id {number} is unknown: no seal has it as delivered")
        for one in seals:
            self.seal_records(one, copies, counts, is_announced)
        if newest and whole:
            if newest_named > newest["seq"]:
                self.flaw(BROKEN, INTEGRITY, f"the records name seal {newest_named}: seals after {newest['seq']} were cut off")
            if beyond:
                kind = NOT_COVERED if newest_named == newest["seq"] else BROKEN
                self.flaw(kind, COMPLETENESS, f"the ids {min(beyond)} to {max(beyond)} lie beyond the newest seal")
        return counts

    def seal_records(self, one, copies, counts, is_announced):
        seal = one.seal
        ids = [number for low, high in parse_ranges(seal["delivered"]["ids"]) for number in range(low, high + 1)]
        missing = [number for number in ids if number not in copies]
        for number in missing:
            self.flaw(BROKEN, COMPLETENESS, f"id {number} is missing; seal {seal['seq']}")
        if missing:
            self.flaw(NOT_COVERED, INTEGRITY, f"the other records of seal {seal['seq']} can't be compared with its root")
            return
        choices = [list(dict.fromkeys(copies[number])) for number in ids]
        differing = [index for index, choice in enumerate(choices) if len(choice) > 1]
        chosen = [choice[0] for choice in choices]
        total = 1
        for index in differing:
            total = min(4096, total * len(choices[index]))
        for attempt in range(max(1, total)):
            rest = attempt
            for index in differing:
                chosen[index] = choices[index][rest % len(choices[index])]
                rest //= len(choices[index])
            if merkle_root(chosen).hex() == seal["records"]:
                break
        else:
            counts["changed"] += max(1, len(differing))
            self.flaw(BROKEN, INTEGRITY, f"a record of seal {seal['seq']} is changed: ids {seal['delivered']['ids']}")
            return
        for index in differing:
            if not is_announced(ids[index]):
                counts["changed"] += 1
                self.flaw(BROKEN, INTEGRITY, f"id {ids[index]} has copies that differ")


def ids_of(seal):
    return [r for kind in ("delivered", "filtered", "deadLettered") for r in parse_ranges(seal[kind]["ids"])]


def count_of(seal):
    return sum(seal[kind]["count"] for kind in ("delivered", "filtered", "deadLettered"))


def main():
    parser = argparse.ArgumentParser(description="Verifies seals and records offline.")
    for flag in ("--seals", "--records", "--public-key", "--from", "--to", "--tenant", "--sink"):
        parser.add_argument(flag, required=flag == "--seals", dest=flag[2:].replace("-", "_").replace("from", "start"))
    try:
        given = parser.parse_args()
    except SystemExit as exit_of_parser:
        return 64 if exit_of_parser.code else 0
    keys = None
    if given.public_key:
        with open(given.public_key, "rb") as file:
            keys = Keys(file.read())
    start, end = (parse_time(text) if text else None for text in (given.start, given.to))
    found, damaged = read_seals(given.seals)
    chains = {}
    for one in found:
        name = (one.seal["tenant"], one.seal["sink"])
        if given.tenant in (None, name[0]) and given.sink in (None, name[1]):
            chains.setdefault(name, []).append(one)
    if given.records and len(chains) > 1:
        print("there are seals of several sinks: use --sink", file=sys.stderr)
        return 64
    if not chains:
        print(*damaged, "no seals", f"integrity: {BROKEN if damaged else NOT_COVERED}", "completeness: not covered", sep="\n")
        return 65 if damaged else 66
    codes = []
    for (tenant, sink), one in chains.items():
        verifier = Verifier()
        for detail in damaged:
            verifier.flaw(BROKEN, INTEGRITY, detail)
        seals, valid, whole = verifier.chain(one, keys, start, end)
        counts = None
        if given.records:
            counts = verifier.records(seals, given.records, whole, sink)
        else:
            verifier.flaw(NOT_COVERED, COMPLETENESS, "no records are given")
        print(f"sink {sink} of {tenant}")
        for verdict, _, detail in verifier.flaws:
            print(f"{verdict}: {detail}")
        print(f"seals      {valid} of {len(seals)} valid")
        if counts:
            print("records    {present} of {delivered} present, {changed} changed, {duplicated} duplicated "
                  "({announced} announced), {unknown} unknown".format(**counts))
        for about in (INTEGRITY, COMPLETENESS):
            print(f"{about}: {verifier.verdict(about)}")
        verdicts = [verdict for verdict, _, _ in verifier.flaws]
        codes.append(65 if BROKEN in verdicts else 66 if verdicts else 0)
    return 65 if 65 in codes else max(codes)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (InputError, OSError, ImportError) as problem:
        print(f"verify_seals.py: {problem}", file=sys.stderr)
        sys.exit(78)
