"""kazoo's own recipes against a ZooKeeper: recipes.py HOST:PORT RECIPE. Ends with an error when a recipe does not work."""
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import BadVersionError, NoNodeError, NodeExistsError, NotEmptyError
from kazoo.recipe.cache import TreeCache, TreeEvent
from kazoo.retry import KazooRetry

hosts, recipe = sys.argv[1:3]
PATIENCE = 20  # seconds that a test waits at most


def client(**more):
    c = KazooClient(hosts=hosts, timeout=6, **more)
    c.start(timeout=PATIENCE)
    return c


def until(what, true):
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError("waited in vain for " + what)
        time.sleep(0.01)


def lock():
    a, b = client(), client()
    la, lb = a.Lock("/lock", "a"), b.Lock("/lock", "b")
    assert la.acquire(timeout=PATIENCE)
    assert not lb.acquire(blocking=False)
    waiting = threading.Thread(target=lb.acquire, kwargs={"timeout": PATIENCE})
    waiting.start()
    until("two contenders", lambda: a.Lock("/lock").contenders() == ["a", "b"])
    assert not lb.is_acquired
    la.release()
    waiting.join(PATIENCE)
    assert lb.is_acquired
    b.stop()  # a session that ends gives up its locks
    assert la.acquire(timeout=PATIENCE)
    with a.ReadLock("/rw", "r1"), a.ReadLock("/rw", "r2"):
        assert not a.WriteLock("/rw", "w").acquire(blocking=False)
    with a.WriteLock("/rw", "w"):
        assert not a.ReadLock("/rw", "r").acquire(blocking=False)
    s = a.Semaphore("/semaphore", max_leases=2)
    assert s.acquire(timeout=PATIENCE) and a.Semaphore("/semaphore", max_leases=2).acquire(timeout=PATIENCE)
    assert not a.Semaphore("/semaphore", max_leases=2).acquire(blocking=False)


def election():
    clients = [client() for _ in range(3)]
    led, ends = [], [threading.Event() for _ in clients]

    def lead(i):
        led.append(i)
        ends[i].wait(PATIENCE)

    threads = []
    for i, c in enumerate(clients):
        threads.append(threading.Thread(target=c.Election("/election", str(i)).run, args=(lead, i), daemon=True))
        threads[-1].start()
        until("contender %d" % i, lambda: len(c.Election("/election").contenders()) == i + 1)
    assert clients[0].Election("/election").contenders() == ["0", "1", "2"]
    for i in range(3):
        until("leader %d" % i, lambda: led == list(range(i + 1)))
        ends[i].set()
        threads[i].join(PATIENCE)
    assert led == [0, 1, 2]


def counter():
    clients = [client() for _ in range(3)]

    def count(c):
        n = c.Counter("/counter", default=0)
        n.retry = KazooRetry(max_tries=-1)
        for _ in range(20):
            while True:
                try:
                    n += 1
                    break
                except BadVersionError:
                    continue

    threads = [threading.Thread(target=count, args=(c,)) for c in clients]
    [t.start() for t in threads]
    [t.join(PATIENCE) for t in threads]
    assert clients[0].Counter("/counter").value == 60, clients[0].Counter("/counter").value


def watchers():
    c, other = client(), client()
    seen, children = [], []
    c.DataWatch("/watched", lambda data, stat: seen.append((data, stat and stat.version)))
    other.create("/watched", b"1")
    until("creation", lambda: seen[-1:] == [(b"1", 0)])
    c.ChildrenWatch("/watched", children.append)
    for i in range(5):
        other.set("/watched", b"%d" % (i + 2))
        until("data", lambda: seen[-1] == (b"%d" % (i + 2), i + 1))
        other.create("/watched/child-%d" % i)
        until("child", lambda: len(children[-1]) == i + 1)
    for i in range(5):
        other.delete("/watched/child-%d" % i)
        until("one less", lambda: len(children[-1]) == 4 - i)
    other.delete("/watched")
    until("deletion", lambda: seen[-1] == (None, None))
    events, cache = [], TreeCache(c, "/tree")
    cache.listen(events.append)
    cache.start()
    other.ensure_path("/tree/a/b")
    until("the cache", lambda: cache.get_data("/tree/a/b") is not None)
    other.delete("/tree", recursive=True)
    until("removal", lambda: any(e.event_type == TreeEvent.NODE_REMOVED for e in events))


def transactions():
    c = client()
    c.create("/t", b"0")
    t = c.transaction()
    t.check("/t", 0)
    t.create("/t/a", b"1")
    t.set_data("/t", b"2", 0)
    t.create("/t/b", sequence=True)
    t.delete("/t/a")
    check, a, stat, b, deleted = t.commit()
    assert (check, a, stat.version, b, deleted) == (True, "/t/a", 1, "/t/b0000000001", True), (check, a, stat, b, deleted)
    t = c.transaction()
    t.create("/t/c")
    t.check("/t", 0)
    t.create("/t/d")
    names = [type(r).__name__ for r in t.commit()]
    assert names == ["RolledBackError", "BadVersionError", "RuntimeInconsistency"], names
    assert c.get_children("/t") == ["b0000000001"]
    for error, attempt in ((NodeExistsError, lambda: c.create("/t")), (NoNodeError, lambda: c.get("/none")),
                           (NotEmptyError, lambda: c.delete("/t")), (BadVersionError, lambda: c.set("/t", b"", 7))):
        try:
            attempt()
        except error:
            continue
        raise AssertionError(error)


def others():
    """What else kazoo offers: barriers, queues, parties, partitioning, sessions that are lost."""
    a, b = client(), client()
    barrier = a.Barrier("/barrier")
    barrier.create()
    assert not b.Barrier("/barrier").wait(0.1)
    barrier.remove()
    assert b.Barrier("/barrier").wait(PATIENCE)
    twice = [c.DoubleBarrier("/double", 2) for c in (a, b)]
    for verb in ("enter", "leave"):
        threads = [threading.Thread(target=getattr(d, verb)) for d in twice]
        [t.start() for t in threads]
        [t.join(PATIENCE) for t in threads]
        assert not any(t.is_alive() for t in threads)
    q = a.Queue("/queue")
    q.put(b"late", 200), q.put(b"early", 50), q.put(b"middle")
    assert [q.get(), q.get(), q.get(), q.get()] == [b"early", b"middle", b"late", None]
    locking = b.LockingQueue("/locking")
    locking.put_all([b"1", b"2"])
    assert locking.get(PATIENCE) == b"1" and locking.consume() and locking.get(PATIENCE) == b"2"
    pa, pb = a.Party("/party", "a"), b.Party("/party", "b")
    pa.join(), pb.join()
    assert sorted(pa) == ["a", "b"]
    b.stop()
    until("b to leave the party", lambda: list(pa) == ["a"])
    states = []
    lost = client()
    lost.add_listener(states.append)
    lost.create("/ephemeral", ephemeral=True)
    deadline, identity = time.monotonic() + PATIENCE, lost.client_id
    while KazooState.LOST not in states:
        # Another client takes the session over and ends it, unless the first one has taken it back in between.
        assert time.monotonic() < deadline, states
        client(client_id=identity).stop()
        time.sleep(0.1)
    until("its ephemeral node to go", lambda: a.exists("/ephemeral") is None)
    a.add_auth("digest", "user:password")
    assert a.create("/secure/node", b"", makepath=True, acl=None) == "/secure/node"


globals()[recipe]()
