"""Checks an evidence pack with nothing but Python 3.

    python3 verify.py                       the pack unpacked in this folder
    python3 verify.py pack.zip              the pack as it came
    python3 verify.py --ledger ledger.db    and that its rows are this ledger's (a copy will do)
"""
import argparse, hashlib, json, os, sqlite3, sys, zipfile

parser = argparse.ArgumentParser()
parser.add_argument("pack", nargs="?", default=os.path.dirname(os.path.abspath(__file__)))
parser.add_argument("--ledger")
options = parser.parse_args()

if os.path.isdir(options.pack):
    with open(os.path.join(options.pack, "evidence.json"), "rb") as file:
        text = file.read()
else:
    with zipfile.ZipFile(options.pack) as pack:
        text = pack.read("evidence.json")
evidence = json.loads(text)
rows, wrong = evidence["rows"], []


def digest(data):
    return hashlib.sha256(data).hexdigest()


linked = 0
before = None
for row in rows:
    if row["body"] is None:
        print(f"row {row['seq']}: {row['withheld']}")
    else:
        data = row["body"].encode()
        body = json.loads(data)
        if digest(data) != row["hash"]:
            wrong.append(f"row {row['seq']}: edited")
        elif (body["seq"], body["prev"]) != (row["seq"], row["prev"]):
            wrong.append(f"row {row['seq']}: is another row's")
    if before and before["seq"] + 1 == row["seq"]:
        linked += 1
        if row["prev"] != before["hash"]:
            wrong.append(f"row {row['seq']}: does not follow row {before['seq']}")
    before = row
head = evidence["ledger"]
if before and before["seq"] == head["seq"] and before["hash"] != head["head"]:
    wrong.append("the head is not the last row's hash")
print(f"{len(rows)} rows, {linked} of them directly after another; head of the ledger then: row {head['seq']}, {head['head']}")

if options.ledger:
    wanted = {row["seq"]: row["hash"] for row in rows}
    wanted[head["seq"]] = head["head"]
    database = sqlite3.connect(f"file:{options.ledger}?mode=ro", uri=True)
    last, count = "0" * 64, 0
    for seq, body, stored in database.execute("SELECT seq, body, hash FROM ledger ORDER BY seq"):
        row = json.loads(body)
        if digest(body) != stored or (seq, row["seq"], row["prev"]) != (count + 1, count + 1, last):
            wrong.append(f"the ledger's chain breaks at row {seq}")
            break
        if wanted.pop(seq, stored) != stored:
            wrong.append(f"row {seq} of the ledger is another")
        last, count = stored, count + 1
    wrong += [f"row {seq} is not in the ledger" for seq in sorted(wanted)]
    print(f"the ledger has {count} rows, head {last}")

for sentence in wrong:
    print(f"WRONG: {sentence}", file=sys.stderr)
sys.exit(1 if wrong else 0)
