// The gateway is killed in the middle of traffic, again and again, while receipts are pending on both sides: whoever was told that a
// message is taken must get its receipt after all. ESME and SMSC are node's smpp.
//
//	node killed.js BINARIES DATABASE [MESSAGES]
//
// BINARIES is the folder of sipsmppd. DATABASE is a db: value of the gateway whose tables may be used and are empty. It ends with 1 if a
// receipt is lost, or names a message that nobody knows.
'use strict';
const smpp = require('smpp');
const { until, ended, folder, checks, run, caller, startGateway, isBound, behaves, receipt, capture } = require('./rig');

const [binaries, database, count = '3000'] = process.argv.slice(2);
const messages = Number(count);
const kills = [0.15, 0.4, 0.7].map(share => Math.round(share * messages));
const work = folder('killed');
const ports = { smsc: 23775, listen: 23776, sip: 25061, mi: 28891 };
const check = checks({ quiet: true });
const call = caller(`http://127.0.0.1:${ports.mi}/mi`);

// --- the SMSC: it keeps a receipt until the gateway has answered it with 0, and sends those that are left on the next bind ---

let ids = 0xABC00000;
const pending = new Map(); // SMSC id -> the submit_sm
let bound; // the gateway's session
let submits = 0;
const server = smpp.createServer({}, session => {
  behaves(session);
  session.on('close', () => { if (bound === session) bound = null; });
  session.on('bind_transceiver', pdu => {
    bound = session;
    session.send(pdu.response({ system_id: 'node' }));
    for (const id of pending.keys()) report(id, 500);
  });
  session.on('submit_sm', pdu => {
    const id = ++ids;
    submits++;
    session.send(pdu.response({ message_id: id.toString(16) }));
    if (!pdu.registered_delivery) return;
    pending.set(id, pdu);
    report(id, id % 7 ? id % 400 : 3000);
  });
});

function report(id, delay) {
  setTimeout(() => {
    const submit = pending.get(id);
    if (!submit || !bound) return;
    bound.deliver_sm(receipt(submit, id), resp => {
      if (resp.command_status === 0) pending.delete(id);
      else report(id, 500);
    });
  }, delay);
}

// --- the ESME: it sends what was not answered again, as ESMEs do ---

const taken = new Map(); // number -> our id
const receipts = new Map(); // our id -> how often
const open = new Set();
let next = 0, esme;

function connect() {
  const session = smpp.connect({ host: '127.0.0.1', port: ports.listen });
  behaves(session);
  session.on('close', () => {
    for (const n of open) again.push(n);
    open.clear();
    if (esme === session) esme = null;
    if (!over) setTimeout(connect, 200);
  });
  session.on('deliver_sm', pdu => {
    const id = String(pdu.receipted_message_id).replace(/\0/g, '');
    receipts.set(id, (receipts.get(id) || 0) + 1);
    check('a receipt', pdu.esm_class === 4 && pdu.message_state === 2, JSON.stringify(pdu));
    session.send(pdu.response());
  });
  session.on('connect', () => session.bind_transceiver({ system_id: 'shop', password: 'secret' }, pdu => {
    if (pdu.command_status !== 0) return session.close();
    esme = session;
    fill();
  }));
}

const again = [];
let over = false;

function fill() {
  while (esme && open.size < 40) {
    const n = again.length ? again.shift() : next < messages ? next++ : -1;
    if (n < 0) return;
    open.add(n);
    const session = esme;
    session.submit_sm({ source_addr: '100', destination_addr: '4915112345678', dest_addr_ton: 1, dest_addr_npi: 1, registered_delivery: 1,
      short_message: `message ${n}` }, pdu => {
      if (session !== esme || !open.delete(n)) return;
      if (pdu.command_status === 0) taken.set(n, pdu.message_id);
      else setTimeout(() => { again.push(n); fill(); }, 100);
      setImmediate(fill);
    });
  }
}

// --- the gateway ---

const start = () => startGateway(binaries, work, `
node: killed
db: "${database}"
sip: { listen: ["udp:127.0.0.1:${ports.sip}"] }
smpp: { listen: ["127.0.0.1:${ports.listen}"], default_connection: node }
mi: { listen: "127.0.0.1:${ports.mi}" }
`, call);

async function main() {
  server.listen(ports.smsc, '127.0.0.1');
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.listen]: 'smpp' });
  let gateway = await start();
  try {
    await call('account_add', { system_id: 'shop', password: 'secret' });
    await call('smpp_add', { name: 'node', ip: '127.0.0.1', port: ports.smsc, system_id: 'gateway', password: 'secret', smsc_id_format: 'decimal' });
    await until('the bind', isBound(call, 'node'));
    connect();
    for (const at of kills) {
      await until(`message ${at}`, () => taken.size >= at, 60);
      const waiting = pending.size;
      gateway.kill('SIGKILL');
      await ended(gateway);
      console.log(`killed after ${taken.size} messages, ${waiting} receipts pending at the SMSC, ${taken.size - receipts.size} not yet at the ESME`);
      gateway = await start();
    }
    await until('the last message', () => taken.size === messages, 60);
    const missing = () => [...taken].filter(([, id]) => !receipts.has(id));
    await until('the last receipt', () => missing().length === 0 && pending.size === 0, 60).catch(() => {});
    for (const [n, id] of missing()) check(`message ${n}`, false, `it was taken as ${id} and has no receipt`);
    check('receipts at the SMSC', pending.size === 0, `${pending.size} were never answered with 0`);
    const known = new Set(taken.values());
    const foreign = [...receipts.keys()].filter(id => !known.has(id)); // of those that were taken and whose answer was lost
    const doubled = [...receipts.values()].filter(n => n > 1).length;
    check('receipts of messages whose answer was lost', foreign.length <= 40 * kills.length, foreign.length);
    console.log(`${messages} messages taken, each with its receipt: ${missing().length === 0}; the SMSC had ${submits}; ` +
      `${doubled} receipts came twice, ${foreign.length} are of messages whose answer was lost in a kill`);
    await cap.end();
    const malformed = cap.read('_ws.malformed');
    check('tshark', malformed === '', malformed);
  } finally {
    over = true;
    if (esme) esme.close();
    gateway.kill();
    cap.kill();
    server.close();
  }
}

run(main, check, work);
