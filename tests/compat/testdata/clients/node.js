// Uses ioredis and node-redis as their users do, plain and in cluster mode. The arguments are the address for all clients and the one for
// cluster-aware clients; it ends with an error when something is wrong.
const assert = require('node:assert');
const Redis = require('ioredis');
const { createClient, createCluster } = require('redis');
const [host, port] = process.argv[2].split(':');
const [clusterHost, clusterPort] = process.argv[3].split(':');

async function io() {
  const r = new Redis({ host, port: Number(port) });
  assert.equal(await r.set('io:k', 'v', 'PX', 60000), 'OK');
  assert.equal(await r.set('io:k', 'w', 'NX'), null);
  assert.equal(await r.get('io:k'), 'v');
  assert.deepEqual(await r.multi().incr('io:n').get('io:n').exec(), [[null, 1], [null, '1']]);
  assert.equal(await r.hset('ioh', 'a', 1, 'b', 2), 2);
  assert.deepEqual(await r.hgetall('ioh'), { a: '1', b: '2' });
  assert.equal(await r.hincrby('ioh', 'a', 4), 5);
  assert.deepEqual(await r.hmget('ioh', 'a', 'none'), ['5', null]);
  const pipe = r.pipeline();
  for (let i = 0; i < 100; i++) pipe.incr('io:p');
  assert.equal((await pipe.exec())[99][1], 100);
  const sub = r.duplicate();
  const got = new Promise((resolve) => sub.on('message', (channel, text) => resolve([channel, text])));
  const matched = new Promise((resolve) => sub.on('pmessage', (...all) => resolve(all)));
  assert.equal(await sub.subscribe('io:ch'), 1);
  assert.equal(await sub.psubscribe('io:*'), 2);
  assert.equal(await r.publish('io:ch', 'hi'), 2);
  assert.deepEqual(await got, ['io:ch', 'hi']);
  assert.deepEqual(await matched, ['io:*', 'io:ch', 'hi']);
  assert.equal(await sub.unsubscribe('io:ch'), 1);
  assert.equal(await sub.punsubscribe(), 0);
  assert.equal(await sub.get('io:k'), 'v');
  const keys = [];
  for await (const page of r.scanStream({ match: 'io:*' })) keys.push(...page);
  assert.deepEqual([...new Set(keys)].sort(), ['io:k', 'io:n', 'io:p']);
  const token = await r.call('LOCK', 'io:lock', 'me', 60000);
  assert.ok(token > 0);
  assert.equal(await r.call('LOCK', 'io:lock', 'you', 60000), null);
  const monitor = await r.monitor();
  const seen = new Promise((resolve) => monitor.on('monitor', (time, args) => resolve(args)));
  await r.set('io:m', 'x');
  assert.deepEqual(await seen, ['set', 'io:m', 'x']);
  monitor.disconnect();
  sub.disconnect();
  if (await supported(r, 'eval', 'return 1', 0)) {
    r.defineCommand('cad', { numberOfKeys: 1, lua: "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end" });
    assert.equal(await r.cad('io:k', 'other'), 0);
    assert.equal(await r.cad('io:k', 'v'), 1);
    await redlock(r);
  }
  await r.quit();
}

async function supported(r, ...command) {
  try {
    await r.call(...command);
    return true;
  } catch (e) {
    return !e.message.includes('unknown command');
  }
}

async function redlock(r) {
  let Redlock;
  try {
    Redlock = require('redlock');
  } catch {
    return;
  }
  const locks = new Redlock([r], { retryCount: 0 });
  let lock = await locks.lock('io:redlock', 60000);
  await assert.rejects(locks.lock('io:redlock', 60000));
  lock = await lock.extend(50000);
  await lock.unlock();
}

async function node() {
  const r = createClient({ url: `redis://${host}:${port}` });
  await r.connect();
  assert.equal(await r.set('nr:k', 'v', { PX: 60000, NX: true }), 'OK');
  assert.equal(await r.get('nr:k'), 'v');
  assert.deepEqual((await r.multi().incr('nr:n').get('nr:n').exec()).map(String), ['1', '1']);
  const sub = r.duplicate();
  await sub.connect();
  const got = new Promise((resolve) => {
    sub.subscribe('nr:ch', (text, channel) => resolve([channel, text]));
  });
  const until = Date.now() + 10000;
  while ((await r.publish('nr:ch', 'hi')) === 0 && Date.now() < until);
  assert.deepEqual(await got, ['nr:ch', 'hi']);
  await sub.unsubscribe('nr:ch');
  assert.ok(Number(await r.sendCommand(['LOCK', 'nr:lock', 'me', '60000'])) > 0);
  for (const c of [sub, r]) (c.close ?? c.quit).call(c);
}

// Names in many slots, so that every node has some.
const many = (prefix) => Array.from({ length: 60 }, (_, i) => prefix + i);

async function ioCluster() {
  const r = new Redis.Cluster([{ host: clusterHost, port: Number(clusterPort) }]);
  await Promise.all(many('ioc:').map((k) => r.set(k, k)));
  assert.deepEqual(await Promise.all(many('ioc:').map((k) => r.get(k))), many('ioc:'));
  assert.deepEqual(await r.mget('{ioc}a', '{ioc}b'), [null, null]);
  assert.equal(await r.hset('ioc:h', { a: 1, b: 2 }), 2);
  assert.deepEqual(await r.hgetall('ioc:h'), { a: '1', b: '2' });
  assert.deepEqual(await r.multi().set('{ioc}a', 1).incr('{ioc}a').exec(), [[null, 'OK'], [null, 2]]);
  r.defineCommand('cad', { numberOfKeys: 1, lua: "if redis.call('get',KEYS[1])==ARGV[1] then return redis.call('del',KEYS[1]) else return 0 end" });
  assert.deepEqual(await Promise.all(many('ioc:').map((k) => r.cad(k, k))), many('ioc:').map(() => 1));
  const got = new Promise((resolve) => r.on('message', (channel, text) => resolve([channel, text])));
  await r.subscribe('ioc:ch');
  assert.ok(await new Redis({ host, port: Number(port) }).publish('ioc:ch', 'hi') >= 0);
  assert.deepEqual(await got, ['ioc:ch', 'hi']);
  r.disconnect();
}

async function nodeCluster() {
  const r = createCluster({ rootNodes: [{ url: `redis://${clusterHost}:${clusterPort}` }] });
  await r.connect();
  await Promise.all(many('nrc:').map((k) => r.set(k, k)));
  assert.deepEqual(await Promise.all(many('nrc:').map((k) => r.get(k))), many('nrc:'));
  assert.equal(await r.hSet('nrc:h', { a: '1', b: '2' }), 2);
  assert.deepEqual({ ...(await r.hGetAll('nrc:h')) }, { a: '1', b: '2' });
  assert.deepEqual((await r.multi().set('{nrc}a', '1').incr('{nrc}a').exec()).map(String), ['OK', '2']);
  assert.ok(Number(await r.sendCommand('nrc:lock', false, ['LOCK', 'nrc:lock', 'me', '60000'])) > 0);
  (r.close ?? r.quit).call(r);
}

io().then(node).then(ioCluster).then(nodeCluster).then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
