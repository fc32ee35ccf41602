// The gateway bound to an SMSC that behaves as some in the field do: node's smpp, told to be odd. Each oddity is one line of the
// output, ok or FAILED; tshark finds no malformed PDU in what the gateway sent.
//
//	node odd.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd. DATABASE is a db: value of the gateway whose tables may be used; its table smpp must be empty. It
// ends with 1 if an oddity made the gateway lose, double or misreport a message.
'use strict';
const dgram = require('node:dgram');
const smpp = require('smpp');
const { until, folder, checks, run, post, startGateway, isBound, behaves, receipt, capture } = require('./rig');

const [binaries, database] = process.argv.slice(2);
const work = folder('odd');
const ports = { smsc: 22776, listen: 22777, esme: 22778, sip: 25070, mi: 28889, events: 28890 };
const check = checks();

function equal(what, got, want) {
  if (JSON.stringify(got) !== JSON.stringify(want)) throw new Error(`${what}: ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

// --- the odd SMSC: what it does with a submit_sm is decided by its recipient ---

let esme; // the gateway's session
let ids = 0;
const seen = {}; // submit_sm by recipient
const server = smpp.createServer({}, session => {
  behaves(session);
  session.on('bind_transceiver', pdu => {
    esme = session;
    session.send(pdu.response({ system_id: 'odd' }));
  });
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
  if (pdu.registered_delivery) report(session, pdu, id);
}

const report = (session, submit, id) => session.deliver_sm(receipt(submit, id));

const oddities = {
  '1001': (session, pdu) => { // hexadecimal ids, decimal in the receipt
    const id = 0xABC000 + ++ids;
    respond(session, pdu, id.toString(16).toUpperCase().padStart(10, '0'));
    report(session, pdu, String(id));
  },
  '1002': (session, pdu) => { // the receipt overtakes the response
    const id = `early-${++ids}`;
    report(session, pdu, id);
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
    report(session, pdu, id);
    report(session, pdu, id);
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
    report(session, pdu, 'nobody');
    good(session, pdu);
  },
};

// --- the gateway ---

// call gives the whole response: some of what is called is refused.
const call = (method, params) => post(`http://127.0.0.1:${ports.mi}/mi`, method, params);
const bound = name => isBound(async (...args) => (await call(...args)).result, name);

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
  await until('the bind', bound('odd'));
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
      behaves(session);
      session.on('outbind', pdu => session.bind_receiver({ system_id: pdu.system_id, password: pdu.password }, resp => {
        received.push(resp.command_status);
      }));
      session.on('deliver_sm', pdu => {
        received.push(pdu.short_message.message);
        session.send(pdu.response());
      });
    });
    listener.listen(ports.esme, '127.0.0.1');
    try {
      await call('smpp_add', { name: 'esme', ip: '127.0.0.1', port: ports.esme, system_id: 'esme', password: 'secret', session_type: 4 });
      await until('the bind', bound('esme'));
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
      behaves(session);
      session.on('close', () => resolve(null));
      session.on('bind_receiver', pdu => {
        equal('who binds', [pdu.system_id, pdu.password], ['asked', 'secret']);
        session.send(pdu.response({ system_id: 'node' }));
        resolve(session);
      });
      session.on('connect', () => session.outbind({ system_id: 'asked', password }));
    });
    equal('an outbind with a wrong password', await says('wrong'), null);
    const refused = await until('E_SMPP_BIND_REFUSED', () => eventsOf('E_SMPP_BIND_REFUSED')[0]);
    equal('its event', [refused.account, refused.command_status], ['asked', 0x0E]);
    const session = await says('secret');
    await until('the bind', bound('asked'));
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
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.listen]: 'smpp', [ports.esme]: 'smpp' });
  const gateway = await startGateway(binaries, work, `
db: "${database}"
sip: { listen: ["udp:127.0.0.1:${ports.sip}"] }
smpp: { listen: ["127.0.0.1:${ports.listen}"] }
mi: { listen: "127.0.0.1:${ports.mi}" }
`, async method => (await call(method)).result);
  try {
    await call('event_subscribe', { event: 'E_*', socket: `udp:127.0.0.1:${ports.events}` });
    const added = await call('smpp_add', {
      name: 'odd', ip: '127.0.0.1', port: ports.smsc, system_id: 'gateway', password: 'secret', response_timeout: 2,
    });
    equal('smpp_add', added.result && added.result.added, ['odd']);
    await until('the bind', bound('odd'));
    for (const [name, test] of Object.entries(tests)) {
      const fault = await test().then(() => '', error => error.message);
      check(name, !fault, fault);
    }
    await call('smpp_delete', { name: 'odd' });
    await cap.end();
    const ours = cap.read(`(tcp.dstport == ${ports.smsc} || tcp.dstport == ${ports.esme} || tcp.srcport == ${ports.listen}) && _ws.malformed`);
    check('tshark finds nothing malformed of ours', ours === '', ours);
  } finally {
    subscriber.close();
    gateway.kill();
    cap.kill();
    server.close();
  }
}

run(main, check, work);
