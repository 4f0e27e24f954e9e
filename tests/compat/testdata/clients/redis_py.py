"""Uses redis-py as its users do, plain and in cluster mode. The arguments are the address for all clients and the one for cluster-aware
clients; it ends with an error when something is wrong."""
import sys
import threading
import time

import redis

host, port = sys.argv[1].rsplit(":", 1)
r = redis.Redis(host=host, port=int(port), decode_responses=True, client_name="compat")


def same(got, want, what):
    if got != want:
        raise AssertionError(f"{what}: {got!r}, want {want!r}")


def supported(*command):
    try:
        r.execute_command(*command)
        return True
    except redis.ResponseError as e:
        return not str(e).startswith("unknown command")


def strings():
    same(r.set("py:k", "v", px=60000), True, "set")
    same(r.set("py:k", "w", nx=True), None, "set nx")
    same(r.get("py:k"), "v", "get")
    same(r.set("py:k", "w", xx=True, get=True, keepttl=True), "v", "set get")
    same(0 < r.pttl("py:k") <= 60000, True, "pttl")
    same(r.getex("py:k", persist=True), "w", "getex")
    same(r.ttl("py:k"), -1, "ttl")
    same(r.append("py:k", "x"), 2, "append")
    same(r.mset({"py:a": "1", "py:b": "2"}), True, "mset")
    same(r.msetnx({"py:a": "1", "py:c": "2"}), False, "msetnx")
    same(r.mget("py:a", "py:none", "py:b"), ["1", None, "2"], "mget")
    same(r.incr("py:n", 5), 5, "incr")
    same(r.incrbyfloat("py:f", 0.5), 0.5, "incrbyfloat")
    same(r.getdel("py:f"), "0.5", "getdel")
    same(sorted(r.scan_iter("py:*")), ["py:a", "py:b", "py:k", "py:n"], "scan")
    same(sorted(r.keys("py:[ab]")), ["py:a", "py:b"], "keys")
    same(r.rename("py:a", "py:c"), True, "rename")
    same(r.copy("py:c", "py:d"), True, "copy")
    same(r.exists("py:c", "py:d", "py:a"), 2, "exists")
    same(r.type("py:c"), "string", "type")
    same(r.object("encoding", "py:c"), "int", "object")
    same(r.expire("py:c", 100, nx=True), True, "expire")
    same(r.delete("py:b", "py:none"), 1, "delete")
    same(r.unlink("py:c", "py:d"), 2, "unlink")


def transactions():
    with r.pipeline() as p:
        same(p.set("py:t", 1).incr("py:t").get("py:t").execute(), [True, 2, "2"], "transaction")
    with r.pipeline(transaction=False) as p:
        for i in range(200):
            p.incr("py:p")
        same(p.execute()[-1], 200, "pipeline")
    with r.pipeline() as p:
        p.watch("py:t")
        r.incr("py:t")
        p.multi()
        p.set("py:t", "never")
        try:
            p.execute()
            raise AssertionError("a watched key changed, and the transaction ran")
        except redis.WatchError:
            pass
    try:
        r.execute_command("INCR", "py:t", "x")
        raise AssertionError("a wrong arity is no error")
    except redis.ResponseError as e:
        same(str(e), "wrong number of arguments for 'incr' command", "error")


def messages():
    p = r.pubsub()
    p.subscribe("py:ch")
    p.psubscribe("py:*")
    same([p.get_message(timeout=5)["type"] for _ in range(2)], ["subscribe", "psubscribe"], "confirmations")
    same(r.publish("py:ch", "hi"), 2, "publish")
    same(sorted(p.get_message(timeout=5)["type"] for _ in range(2)), ["message", "pmessage"], "messages")
    same(r.pubsub_channels("py:*"), ["py:ch"], "channels")
    same(r.pubsub_numsub("py:ch"), [("py:ch", 1)], "numsub")
    same(r.pubsub_numpat(), 1, "numpat")
    p.ping()
    same(p.get_message(timeout=5)["type"], "pong", "ping")
    p.unsubscribe()
    p.punsubscribe()
    same([p.get_message(timeout=5)["type"] for _ in range(2)], ["unsubscribe", "punsubscribe"], "ends")
    p.close()
    got = []
    q = r.pubsub()
    q.subscribe(**{"py:thread": lambda m: got.append(m["data"])})
    thread = q.run_in_thread(sleep_time=0.01)
    r.publish("py:thread", "x")
    until = time.monotonic() + 10
    while got != ["x"] and time.monotonic() < until:
        time.sleep(0.01)
    thread.stop()
    thread.join()
    same(got, ["x"], "handler in a thread")


def server():
    same(r.ping(), True, "ping")
    same(r.echo("x"), "x", "echo")
    same(r.client_getname(), "compat", "client_getname")
    same(any(c["id"] == str(r.client_id()) or c["name"] == "compat" for c in r.client_list()), True, "client_list")
    same(r.client_list(_type="pubsub"), [], "client_list pubsub")
    same(r.client_info()["name"], "compat", "client_info")
    same(r.client_kill_filter(_id=1 << 40), 0, "client_kill_filter")
    same(r.client_getredir(), -1, "client_getredir")
    same(r.info("server")["redis_mode"], "standalone", "info")
    same(r.info()["loading"], 0, "info loading")
    same(r.config_get("maxmemory*")["maxmemory"], "0", "config_get")
    same(r.config_set("slowlog-max-len", 128), True, "config_set")
    same(isinstance(r.slowlog_get(), list), True, "slowlog_get")
    same(r.slowlog_reset(), True, "slowlog_reset")
    same(r.role()[0], "master", "role")
    same(r.time()[0] > 0, True, "time")
    same(r.wait(0, 0) >= 0, True, "wait")
    same(r.lastsave() is not None, True, "lastsave")
    same(r.module_list(), [], "module_list")
    same(r.latency_latest() if hasattr(r, "latency_latest") else [], [], "latency")
    same(r.command_count() > 100, True, "command_count")
    same("kset" in r.command(), True, "command")
    r.set("py:m", "x")
    same(r.memory_usage("py:m") > 0, True, "memory_usage")
    with r.monitor() as m:
        r.set("py:m", "y")
        same(m.next_command()["command"], "SET py:m y", "monitor")


def own():
    token = r.execute_command("LOCK", "py:lock", "me", 60000)
    same(token > 0, True, "LOCK")
    same(r.execute_command("LOCK", "py:lock", "you", 60000), None, "LOCK of another")
    same(r.execute_command("UNLOCK", "py:lock", "me"), 1, "UNLOCK")
    same(r.execute_command("KSET", "py:own", "1"), 1, "KSET")
    same(r.execute_command("SEQNEXT", "py:seq"), 1, "SEQNEXT")


def hashes():
    same(r.hset("py:h", mapping={"a": "1", "b": "2"}), 2, "hset")
    same(r.hgetall("py:h"), {"a": "1", "b": "2"}, "hgetall")
    same(r.hincrby("py:h", "a", 2), 3, "hincrby")
    same(dict(r.hscan_iter("py:h")), {"a": "3", "b": "2"}, "hscan")
    same(r.hdel("py:h", "a", "b"), 2, "hdel")


def locks():
    lock = r.lock("py:locked", timeout=30, blocking_timeout=1)
    same(lock.acquire(), True, "acquire")
    same(r.lock("py:locked", timeout=30, blocking_timeout=0.1).acquire(), False, "acquire of another")
    same(lock.owned(), True, "owned")
    same(lock.extend(10), True, "extend")
    same(lock.reacquire(), True, "reacquire")
    lock.release()
    same(lock.locked(), False, "locked")
    counted = []

    def work():
        for _ in range(10):
            with r.lock("py:counted", timeout=30, sleep=0.002):
                n = int(r.get("py:count") or 0)
                r.set("py:count", n + 1)
                counted.append(n)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    same(sorted(counted), list(range(30)), "counted under a lock")


def cluster():
    host, port = sys.argv[2].rsplit(":", 1)
    c = redis.RedisCluster(host=host, port=int(port), decode_responses=True)
    names = [f"pyc:{i}" for i in range(60)]
    for name in names:
        same(c.set(name, name), True, "set")
    same([c.get(name) for name in names], names, "get")
    same(c.hset("pyc:h", mapping={"a": "1"}), 1, "hset")
    same(c.hgetall("pyc:h"), {"a": "1"}, "hgetall")
    same(c.mset_nonatomic({name: "x" for name in names}) is not None, True, "mset_nonatomic")
    with c.pipeline() as p:
        for name in names:
            p.get(name)
        same(p.execute(), ["x"] * len(names), "pipeline")
    same(c.eval("return redis.call('get', KEYS[1])", 1, "pyc:1"), "x", "eval")
    same(c.execute_command("LOCK", "pyc:lock", "me", 60000) > 0, True, "LOCK")
    same(sum(c.delete(name) for name in names), len(names), "delete")
    c.close()


strings()
transactions()
messages()
server()
own()
hashes()
cluster()
if supported("EVAL", "return 1", 0):
    locks()
