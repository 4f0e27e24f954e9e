// Uses ioredis and node-redis as their users do. The address is the first argument; it ends with an error when something is wrong.
const assert = require('node:assert');
const Redis = require('ioredis');
const { createClient } = require('redis');
const [host, port] = process.argv[2].split(':');

async function io() {
  const r = new Redis({ host, port: Number(port) });
  assert.equal(await r.set('io:k', 'v', 'PX', 60000), 'OK');
  assert.equal(await r.set('io:k', 'w', 'NX'), null);
  assert.equal(await r.get('io:k'), 'v');
  assert.deepEqual(await r.multi().incr('io:n').get('io:n').exec(), [[null, 1], [null, '1']]);
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

io().then(node).then(() => process.exit(0), (e) => { console.error(e); process.exit(1); });
