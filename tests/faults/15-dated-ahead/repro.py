# Runs alone while `hub up` runs and, where the README says so, `hub worker`, under the policy beside this folder:
#   HUB_DATA_DIR=FOLDER HUB_POLICY=tests/faults/policy.toml .venv/bin/python tests/faults/15-dated-ahead/repro.py
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

SOURCE = "thu.27"; db = fresh("f15")
sql(db, "CREATE TABLE nguoi (so text PRIMARY KEY, ten text, luc timestamptz)", "INSERT INTO nguoi VALUES ('036800000151','Tên Một','2099-01-01')"); t = toml(SOURCE, PERSON.format(kind="table", key='["so"]', more="")); run(t)
sql(db, "UPDATE nguoi SET ten = 'Tên Hai', luc = now()"); run(t); time.sleep(3); print("source:", sql(db, "SELECT ten FROM nguoi"), "warehouse:", wh("SELECT full_name FROM citizen_person_claim WHERE pin = '036800000151'"), audit(SOURCE)); hub("alerts", "list"); hub("review", "list")
