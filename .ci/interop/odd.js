// The gateway bound to an SMSC that behaves as some in the field do: node's smpp, told to be odd. Each oddity is one line of the
// output, good or FAILED; tshark finds no malformed PDU in what the gateway sent.
//
//	node odd.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd. DATABASE is a db: value of the gateway whose tables may be used; its table smpp must be empty. It
// ends with 1 if an oddity made the gateway lose, double or misreport a message.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const dgram = require('node:dgram');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const smpp = require('smpp');

const [binaries, database] = process.argv.slice(2);
const work = fs.mkdtempSync(path.join(os.tmpdir(), 'sipsmpp-odd-'));
const ports = { smsc: 22776, listen: 22777, esme: 22778, sip: 25070, mi: 28889, events: 28890 };
const mi = `http://127.0.0.1:${ports.mi}/mi`;

let failures = 0;
const wait = ms => new Promise(resolve => setTimeout(resolve, ms));
async function until(what, condition, seconds = 15) {
  for (const end = Date.now() + seconds * 1000; Date.now() < end; await wait(20)) {
    const value = await condition();
    if (value) return value;
  }
  throw new Error(`${what} did not come within ${seconds} s`);
}
function equal(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// --- the odd SMSC: what it does with a submit_sm is decided by its recipient ---

let esme; // the gateway's session
let ids = 0;
const seen = {}; // submit_sm by recipient
const server = smpp.createServer({}, session => {
  session.on('error', () => {});
  session.on('bind_transceiver', pdu => {
    esme = session;
    session.send(pdu.response({ system_id: 'odd' }));
  });
  session.on('enquire_link', pdu => session.send(pdu.response()));
  session.on('unbind', pdu => session.send(pdu.response()));
  session.on('submit_sm', pdu => {
    const to = pdu.destination_addr;
    seen[to] = (seen[to] || 0) + 1;
    (oddities[to] || good)(session, pdu, seen[to]);
  });
});

const respond = (session, pdu, id) => session.send(pdu.response({ message_id: id }));

function good(session, pdu) {
  const id = String(++ids);
  respond(session, pdu, id);
  if (pdu.registered_delivery) receipt(session, pdu, id);
}

function receipt(session, submit, id, stat = 'DELIVRD') {
  session.deliver_sm({
    source_addr: submit.destination_addr, destination_addr: submit.source_addr, esm_class: 4,
    short_message: `id:${id} sub:001 dlvrd:001 submit date:2601010000 done date:2601010001 stat:${stat} err:000 text:`,
  });
}

const oddities = {
  '1001': (session, pdu) => { // hexadecimal ids, decimal in the receipt
    const id = 0xABC000 + ++ids;
    respond(session, pdu, id.toString(16).toUpperCase().padStart(10, '0'));
    receipt(session, pdu, String(id));
  },
  '1002': (session, pdu) => { // the receipt overtakes the response
    const id = `early-${++ids}`;
    receipt(session, pdu, id);
    setTimeout(() => respond(session, pdu, id), 200);
  },
  '1003': (session, pdu, n) => { // throttled at first
    if (n === 1) session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    else good(session, pdu);
  },
  '1004': (session, pdu, n) => { // silence at first
    if (n > 1) good(session, pdu);
  },
  '1005': (session, pdu) => { // the response and the receipt twice
    const id = String(++ids);
    respond(session, pdu, id);
    respond(session, pdu, id);
    receipt(session, pdu, id);
    receipt(session, pdu, id);
  },
  '1006': (session, pdu) => { // the response cut in two, and the receipt in single octets
    const id = String(++ids);
    const octets = pdu.response({ message_id: id }).toBuffer();
    session.socket.write(octets.subarray(0, 9));
    setTimeout(() => {
      session.socket.write(octets.subarray(9));
      const deliver = new smpp.PDU('deliver_sm', {
        source_addr: pdu.destination_addr, destination_addr: pdu.source_addr, esm_class: 4, sequence_number: 70000 + ids,
        short_message: `id:${id} stat:DELIVRD`,
      }).toBuffer();
      for (const octet of deliver) session.socket.write(Buffer.of(octet));
    }, 100);
  },
  '1007': (session, pdu) => { // a response to nothing, a command of its own, a body that does not parse, then a good answer
    session.socket.write(Buffer.from('00000010800000040000000007070707', 'hex'));
    session.socket.write(Buffer.from('0000001000010204000000000000abcd', 'hex'));
    session.socket.write(Buffer.from('0000001200000005000000000000abce7879', 'hex'));
    good(session, pdu);
  },
  '1008': (session, pdu, n) => { // the socket dies before the answer
    if (n === 1) session.socket.destroy();
    else good(session, pdu);
  },
  '1009': (session, pdu) => { // an error without a body
    session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
  },
  '1010': (session, pdu) => { // a receipt for nobody's message, then the right one
    receipt(session, pdu, 'nobody');
    good(session, pdu);
  },
};

// --- the gateway ---

async function call(method, params) {
  const answer = await fetch(mi, {
    method: 'POST', headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  });
  return answer.json();
}

const events = [];
const subscriber = dgram.createSocket('udp4', datagram => {
  const { method, params } = JSON.parse(datagram);
  events.push({ method, ...params });
});
const eventsOf = (method, id) => events.filter(e => e.method === method && (!id || e.id === id));

async function connection() {
  return (await call('smpp_list', { name: 'odd' })).result.connections[0];
}

// send sends a message and wants it taken, now or, where the gateway keeps it, later.
const send = to => call('message_send', { from: '100', to, text: `to ${to}`, receipt: true });

async function delivered(to) {
  const { result, error } = await send(to);
  if (error) throw new Error(`message_send: ${JSON.stringify(error)}`);
  const report = await until('the report', () => eventsOf('E_MESSAGE_REPORT', result.id)[0]);
  equal('the report', report.state, 'delivered');
  return result;
}

// retried is for a message that is not taken at the first try. Where the gateway keeps it for later its report comes in the end;
// else its sender is told to try again.
async function retried(to, code) {
  const { result, error } = await send(to);
  if (!error) {
    await until('the report of the message that was kept', () => eventsOf('E_MESSAGE_REPORT', result.id)[0], 90);
    return;
  }
  equal('the code', error.code, code);
  await until('the bind', async () => (await connection()).state === 'bound', 30);
  await delivered(to);
}

const tests = {
  'ids in hexadecimal, in the receipt decimal': () => delivered('1001'),
  'a receipt before its response': () => delivered('1002'),
  'throttled (0x58)': async () => {
    await retried('1003', 429);
    const throttled = eventsOf('E_SMPP_THROTTLED');
    equal('E_SMPP_THROTTLED', throttled.map(e => [e.connection, e.command_status]), [['odd', 0x58]]);
    await until('E_SMPP_UNTHROTTLED', async () => {
      await delivered('1000');
      return eventsOf('E_SMPP_UNTHROTTLED')[0];
    });
  },
  'silence': () => retried('1004', 480),
  'response and receipt twice': async () => {
    const before = (await connection()).unexpected;
    const { id } = await delivered('1005');
    await delivered('1000'); // what came twice is behind us
    equal('reports', eventsOf('E_MESSAGE_REPORT', id).length, 1);
    equal('responses that nobody waited for', (await connection()).unexpected - before, 1);
  },
  'PDUs cut in pieces': () => delivered('1006'),
  'what nobody asked for': async () => {
    const before = await connection();
    await delivered('1007');
    const after = await connection();
    equal('binds that went down', after.binds[0].since, before.binds[0].since);
  },
  'a socket that dies before the answer': () => retried('1008', 480),
  'an error without a body': async () => {
    const { error } = await send('1009');
    equal('the status', error && error.data.status, 0x0B);
  },
  'outbind: node binds on the socket that we open': async () => {
    const received = [];
    const listener = smpp.createServer({}, session => {
      session.on('error', () => {});
      session.on('outbind', pdu => session.bind_receiver({ system_id: pdu.system_id, password: pdu.password }, resp => {
        received.push(resp.command_status);
      }));
      session.on('deliver_sm', pdu => {
        received.push(pdu.short_message.message);
        session.send(pdu.response());
      });
      session.on('enquire_link', pdu => session.send(pdu.response()));
      session.on('unbind', pdu => session.send(pdu.response()));
    });
    listener.listen(ports.esme, '127.0.0.1');
    try {
      await call('smpp_add', { name: 'esme', ip: '127.0.0.1', port: ports.esme, system_id: 'esme', password: 'secret', session_type: 4 });
      await until('the bind', async () => (await call('smpp_list', { name: 'esme' })).result.connections[0].state === 'bound');
      const { result, error } = await call('message_send', { connection: 'esme', from: '100', to: '200', text: 'Grüße @ €', receipt: true });
      if (error) throw new Error(`message_send: ${JSON.stringify(error)}`);
      equal('what node got', received, [0, 'Grüße @ €']);
      const report = await until('the report', () => eventsOf('E_MESSAGE_REPORT', result.id)[0]);
      equal('the report', report.state, 'delivered');
      await call('smpp_delete', { name: 'esme' });
      await until('the end', () => events.some(e => e.method === 'E_SMPP_BIND_DOWN' && e.connection === 'esme'));
    } finally {
      listener.close();
    }
  },
  'outbind: node says it to our listener': async () => {
    await call('smpp_add', {
      name: 'asked', ip: '127.0.0.1', port: 1, system_id: 'asked', password: 'secret', session_type: 3, options: '{"outbind":true}',
    });
    const says = password => new Promise(resolve => {
      const session = smpp.connect({ host: '127.0.0.1', port: ports.listen });
      session.on('error', () => {});
      session.on('close', () => resolve(null));
      session.on('bind_receiver', pdu => {
        equal('who binds', [pdu.system_id, pdu.password], ['asked', 'secret']);
        session.send(pdu.response({ system_id: 'node' }));
        resolve(session);
      });
      session.on('unbind', pdu => session.send(pdu.response()));
      session.on('connect', () => session.outbind({ system_id: 'asked', password }));
    });
    equal('an outbind with a wrong password', await says('wrong'), null);
    const refused = await until('E_SMPP_BIND_REFUSED', () => eventsOf('E_SMPP_BIND_REFUSED')[0]);
    equal('its event', [refused.account, refused.command_status], ['asked', 0x0E]);
    const session = await says('secret');
    await until('the bind', async () => (await call('smpp_list', { name: 'asked' })).result.connections[0].state === 'bound');
    const resp = await new Promise(resolve => session.deliver_sm({ source_addr: '200', destination_addr: '100', short_message: 'by outbind' }, resolve));
    const came = await until('E_MESSAGE_RECEIVED', () => eventsOf('E_MESSAGE_RECEIVED').find(e => e.text === 'by outbind'));
    equal('where it came in', came.ingress, 'smpp:asked');
    if (resp.command === 'generic_nack') throw new Error('deliver_sm was not understood');
    await call('smpp_delete', { name: 'asked' });
    await until('the end', () => events.some(e => e.method === 'E_SMPP_BIND_DOWN' && e.connection === 'asked'));
  },
  'a receipt for nobody\'s message': async () => {
    await delivered('1010');
    const unmatched = await until('E_RECEIPT_UNMATCHED', () => eventsOf('E_RECEIPT_UNMATCHED')[0]);
    equal('its SMSC id', unmatched.smsc_id, 'nobody');
  },
};

async function main() {
  server.listen(ports.smsc, '127.0.0.1');
  await new Promise(resolve => subscriber.bind(ports.events, '127.0.0.1', resolve));
  const capture = path.join(work, 'capture.pcap');
  const tshark = spawn('tshark', ['-q', '-i', 'lo', '-w', capture, '-f', `port ${ports.smsc} or port ${ports.listen} or port ${ports.esme}`], { stdio: ['ignore', 'ignore', 'pipe'] });
  await new Promise(resolve => tshark.stderr.on('data', d => /Capturing/.test(d) && resolve()));
  fs.writeFileSync(path.join(work, 'sipsmpp.yaml'), `
db: "${database}"
sip: { listen: ["udp:127.0.0.1:${ports.sip}"] }
smpp: { listen: ["127.0.0.1:${ports.listen}"] }
mi: { listen: "127.0.0.1:${ports.mi}" }
`);
  const log = fs.openSync(path.join(work, 'sipsmppd.log'), 'w');
  const gateway = spawn(path.join(binaries, 'sipsmppd'), ['-c', path.join(work, 'sipsmpp.yaml')], { stdio: ['ignore', log, log] });
  try {
    await until('the MI', () => call('version').catch(() => false));
    await call('event_subscribe', { event: 'E_*', socket: `udp:127.0.0.1:${ports.events}` });
    const added = await call('smpp_add', {
      name: 'odd', ip: '127.0.0.1', port: ports.smsc, system_id: 'gateway', password: 'secret', response_timeout: 2,
    });
    equal('smpp_add', added.result && added.result.added, ['odd']);
    await until('the bind', async () => (await connection()).state === 'bound');
    for (const [name, test] of Object.entries(tests)) {
      try {
        await test();
        console.log(`good   ${name}`);
      } catch (err) {
        failures++;
        console.log(`FAILED ${name}: ${err.message}`);
      }
    }
    await call('smpp_delete', { name: 'odd' });
    await wait(1500); // what was captured last is not in the file at once
    tshark.kill('SIGINT');
    await new Promise(resolve => tshark.on('exit', resolve));
    const smppPorts = [ports.smsc, ports.listen, ports.esme];
    const ours = execFileSync('tshark', ['-r', capture, ...smppPorts.flatMap(p => ['-d', `tcp.port==${p},smpp`]),
      '-Y', `(tcp.dstport == ${ports.smsc} || tcp.dstport == ${ports.esme} || tcp.srcport == ${ports.listen}) && _ws.malformed`], { stdio: ['ignore', 'pipe', 'ignore'] }).toString();
    if (ours) failures++;
    console.log(ours ? `FAILED tshark: the gateway sent what is malformed:\n${ours}` : 'good   tshark finds nothing malformed of ours');
  } finally {
    subscriber.close();
    gateway.kill();
    tshark.kill();
    server.close();
  }
  if (failures) console.log(`what happened is in ${work}`);
  else fs.rmSync(work, { recursive: true });
  process.exit(failures ? 1 : 0);
}

main().catch(err => {
  console.error(err);
  console.error(`what happened is in ${work}`);
  process.exit(1);
});
