# Runs alone while `hub up` runs and, where the README says so, `hub worker`, under the policy beside this folder:
#   HUB_DATA_DIR=FOLDER HUB_POLICY=tests/faults/policy.toml .venv/bin/python tests/faults/17-index-row-too-long/repro.py
# All values are invented. `python -m tests.faults.seen` starts what is needed and compares with expect.toml.
import json, os, signal, sqlite3, subprocess, sys, tempfile, time
from pathlib import Path
import psycopg
CLONE = Path(os.environ.get("CASE_CLONE") or Path(__file__).resolve().parents[3]); DATA = Path(os.environ["HUB_DATA_DIR"]); WORK = Path(tempfile.mkdtemp())
PATIENCE = float(os.environ.get("CASE_PATIENCE", "1")); _sleep = time.sleep; time.sleep = lambda s: _sleep(s * PATIENCE)  # a slow machine
_s = json.loads((DATA / "engine.json").read_text())["parts"]; _x = json.loads((DATA / "secrets.json").read_text())
PORT, PASSWORD, BOOT, SECRET = _s["postgres"]["ports"][0], _x["postgres_password"], _s["kafka"]["url"], _x["key_secret"]
def pg(db="hub", **o): return psycopg.connect(host="127.0.0.1", port=PORT, user="hub", password=PASSWORD, dbname=db, autocommit=True, **o)
def fresh(db, extra=""):
    with pg("postgres") as c: c.execute(f"DROP DATABASE IF EXISTS {db} WITH (FORCE)"); c.execute(f"CREATE DATABASE {db} {extra}")
    os.environ["SRC_URL"] = f"postgresql+psycopg://hub:{PASSWORD}@127.0.0.1:{PORT}/{db}"; return db
def sql(db, *statements):
    with pg(db) as c:
        for s in statements: cur = c.execute(s)
        return cur.fetchall() if cur.description else None
def wh(q):
    with pg() as c: c.execute("SET search_path TO hub"); return c.execute(q).fetchall()
def hub(*a, timeout=45):
    p = subprocess.Popen([str(CLONE / ".venv/bin/hub"), *a], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try: out, err = p.communicate(timeout=timeout * PATIENCE); rc = p.returncode
    except subprocess.TimeoutExpired: p.kill(); out, err = p.communicate(); rc = f"still running after {timeout} s"
    print(f"$ hub {' '.join(a)}\n  rc: {rc}\n  out: {out.strip()[-400:]}\n  err: {([x for x in err.strip().splitlines() if not x.startswith('(Background')] or [''])[-1][-400:]}"); return rc, out, err
def toml(source, body, head='url_env = "SRC_URL"'):
    p = WORK / "d.toml"; p.write_text(f'[source]\ncode = "{source}"\nagency = "H25"\nunit_scheme = "GSO_2025"\n{head}\n{body}'); return str(p)
def run(t, **o): return hub("connect", "run", t, "--once", "--json", **o)
def audit(source): return wh(f"SELECT a.outcome, a.reason, count(*) FROM audit a JOIN source s ON s.id = a.source WHERE s.code = '{source}' GROUP BY 1, 2 ORDER BY 1")
def rejects(db): return sql(db, "SELECT reason, detail, count(*) FROM hub_connector.reject GROUP BY 1, 2") if sql(db, "SELECT to_regclass('hub_connector.reject')")[0][0] else "no table yet"
TABLE = '[[stream]]\nname = "s"\nconnector = "table"\nsubject = "dossier.progressed"\ntable = "ho_so"\nkey = {key}\n{more}\nchanged_at = "luc"\n[stream.fields]\ndossier_code = "ma"\nstatus = {{ column = "tt", words = {{ "1" = "REGISTERED", "4" = "RESULT_READY" }} }}\n{fields}'
def table(key='["ma"]', more='version = "ban"', fields=""): return TABLE.format(key=key, more=more, fields=fields)
PERSON = '[[stream]]\nname = "s"\nconnector = "{kind}"\nsubject = "citizen.changed"\ntable = "nguoi"\nkey = {key}\n{more}\nchanged_at = "luc"\n[stream.fields]\npin = "so"\nfull_name = "ten"\n'
import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4
sys.path.insert(0, str(CLONE))
from aiokafka import AIOKafkaProducer
from hub.codec import encode as encoding
from hub.codec.encode import Encoder
encoding._text_of_at_most = lambda length: encoding._text  # a producer that keeps no longest form
from hub.topology import event_topic
def event(subject, source, version, **data):
    f = {"event_id": uuid4(), "occurred_at": datetime(2025, 7, 1, 8, tzinfo=UTC) + timedelta(minutes=version), "recorded_at": datetime.now(UTC), "source_system": source, "source_agency": "H25", "source_epoch": 1, "source_version": version, "operation": "UPDATE", "unit_scheme": "GSO_2025", **data}
    e = Encoder(subject, SECRET); return event_topic(subject), e.key(f), e.encode(f)
async def _send(records, partition, **o):
    p = AIOKafkaProducer(bootstrap_servers=BOOT, **o); await p.start()
    try: return [await p.send_and_wait(t, value=v, key=k, partition=partition) for t, k, v in records]
    finally: await p.stop()
def send(records, partition=None, **o): return asyncio.run(_send(records, partition, **o))

def worker(seconds):
    """Run a worker for a while; its return code, or None when it still ran and was stopped."""
    log = open(WORK / "worker.log", "w+"); p = subprocess.Popen([str(CLONE / ".venv/bin/hub"), "worker"], stdout=log, stderr=log)
    try: rc = p.wait(seconds * PATIENCE)
    except subprocess.TimeoutExpired: rc = None; p.send_signal(signal.SIGTERM); p.wait(30)
    log.seek(0); lines = log.read().splitlines(); print("worker:", "ran until stopped" if rc is None else f"ended by itself, rc {rc}", [l[-230:] for l in lines if "Crashed reason" in l and "Cancelled" not in l and "GeneratorExit" not in l][:1]); return rc

import base64, random
SOURCE = "thu.24"; long = base64.b64encode(random.Random(1).randbytes(2800)).decode()[:2800]
r = send([event("citizen.changed", SOURCE, 1, pin="036800000171", full_name="Người Một"), event("citizen.changed", SOURCE, 1, pin="036800000172", full_name="Người Hai", cmnd9=long), event("citizen.changed", SOURCE, 1, pin="036800000173", full_name="Người Ba")], partition=0)
worker(25); worker(25); hub("alerts", "list"); hub("partitions", "list"); print(audit(SOURCE))
# the way past, so that the engine can be used again
import re
plan = re.search("plan ([0-9a-f]+)", hub("offsets", "plan", f"{r[1].topic}/0", "--to", str(r[1].offset + 1))[1])
if plan: hub("offsets", "apply", plan[1], "--execute", "--reason", "case"); worker(20); print(audit(SOURCE))
