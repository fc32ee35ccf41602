// The SIP side with programs that its authors did not write: sipp with credentials, JsSIP over WebSocket as a browser runs it, and
// Kamailio as the proxy in both directions, by UDP towards the gateway and by TLS from it. node's smpp is the SMSC.
//
//   node sip.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd and sipsmpp-cli. DATABASE is a db: value of the gateway whose tables may be used. It ends
// with 1 and says what differs if one thing is not as it should be.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const dgram = require('node:dgram');
const fs = require('node:fs');
const path = require('node:path');
const smpp = require('smpp');
const WebSocket = require('ws');
const { until, folder, checks, run, behaves, certificate, capture } = require('./rig');

const [binaries, database] = process.argv.slice(2);
const work = folder('sip');
const ports = { smsc: 26075, udp: 26060, ws: 26080, tls: 26061, mi: 29888, proxy: 26070, proxyTLS: 26071, sink: 26090 }; // below those that the kernel gives to outgoing connections
const text = 'Grüße, 汉字 and 👋';
const number = '+4915112345678';
const check = checks();

// --- the SMSC ---

const submits = [];
let esme;
const smsc = smpp.createServer({}, session => {
  behaves(session);
  session.on('bind_transceiver', pdu => { esme = session; session.send(pdu.response({ system_id: 'node' })); });
  session.on('submit_sm', pdu => {
    submits.push(pdu);
    session.send(pdu.response({ message_id: String(submits.length) }));
  });
});
const arrived = () => {
  const pdu = submits.shift();
  return pdu && { from: pdu.source_addr, to: pdu.destination_addr, text: pdu.short_message.message.trim() };
};
function deliver(message) {
  return new Promise(resolve => esme.deliver_sm({
    source_addr: '4915112345678', dest_addr_ton: 0, destination_addr: '100', data_coding: 8,
    short_message: { message: smpp.encodings.UCS2.encode(message) },
  }, response => resolve(response.command_status)));
}

// --- what MESSAGEs to SIP end at, behind the proxy ---

const sink = dgram.createSocket('udp4');
const sunk = [];
sink.on('message', (datagram, peer) => {
  const request = datagram.toString();
  if (!request.startsWith('MESSAGE ')) return;
  sunk.push(request);
  const lines = request.slice(0, request.indexOf('\r\n\r\n')).split('\r\n').filter(l => /^(Via|From|To|Call-ID|CSeq):/i.test(l));
  sink.send(`SIP/2.0 200 OK\r\n${lines.join('\r\n')}\r\nContent-Length: 0\r\n\r\n`, peer.port, peer.address);
});

const file = (name, content) => { fs.writeFileSync(path.join(work, name), content); return path.join(work, name); };

// kamailio relays what comes by TLS to the sink, and everything else to the gateway.
const kamailio = () => file('kamailio.cfg', `#!KAMAILIO
debug=1
log_stderror=yes
children=2
tcp_children=2
enable_tls=yes
listen=udp:127.0.0.1:${ports.proxy}
listen=tls:127.0.0.1:${ports.proxyTLS}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "tmx.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "tls.so"
modparam("tls", "tls_method", "TLSv1.2+")
modparam("tls", "certificate", "${work}/cert.pem")
modparam("tls", "private_key", "${work}/key.pem")
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if (is_method("OPTIONS")) { sl_send_reply("200", "OK"); exit; }
  if ($proto == "tls") { $du = "sip:127.0.0.1:${ports.sink}"; } else { $du = "sip:127.0.0.1:${ports.udp}"; }
  t_relay();
}
`);

function sipp(user, password, from, port, sourceIP) {
  const message = authentication => `<send retrans="500"><![CDATA[
MESSAGE sip:${number}@127.0.0.1:${port} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:${from}@example.com>;tag=[call_number]
To: <sip:${number}@example.com>
Call-ID: [call_id]
CSeq: ${authentication ? 2 : 1} MESSAGE
${authentication}Content-Type: text/plain;charset=UTF-8
Content-Length: [len]

${text}
]]></send>`;
  const credentials = user
    ? `<recv response="401" auth="true"/>\n${message(`[authentication username=${user} password=${password}]\n`)}` : '';
  const scenario = file('uac.xml', `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="uac">\n${message('')}\n${credentials}
<recv response="202"/>\n</scenario>\n`);
  return new Promise(resolve => spawn('sipp', ['-sf', scenario, '-m', '1', '-i', sourceIP, '-nostdin', '-trace_err', '-trace_msg', '-auth_uri', `${number}@127.0.0.1:${port}`, '-timeout', '8s', '-timeout_error', `127.0.0.1:${port}`],
    { cwd: work, stdio: ['ignore', 'ignore', fs.openSync(path.join(work, 'sipp.err'), 'a')] }).on('exit', resolve));
}

// What is wrong with a request, what it must get, and what is replaced in a good one.
const refused = [
  ['a request without From', 400, [['From:', 'X-From:']]],
  ['a body without a type', 400, [['Content-Type:', 'X-Type:']]],
  ['two lengths', 400, [['Content-Length:', 'l: 4\nContent-Length:']]],
  ['INVITE', 405, [['MESSAGE', 'INVITE']]],
  ['SUBSCRIBE', 405, [['MESSAGE', 'SUBSCRIBE']]],
  ['a body that is too large', 413, [[text, 'x'.repeat(20001)]]],
  ['HTML', 415, [['text/plain', 'text/html']]],
  ['an unknown charset', 415, [['UTF-8', 'klingon']]],
  ['an unknown encoding', 415, [['Content-Type:', 'Content-Encoding: br\nContent-Type:']]],
  ['a URN', 416, [[`MESSAGE sip:${number}@`, 'MESSAGE urn:service:sos@']]],
  ['an extension', 420, [['Content-Type:', 'Require: 100rel\nContent-Type:']]],
  ['BYE', 481, [['MESSAGE', 'BYE']]],
  ['CANCEL', 481, [['MESSAGE', 'CANCEL']]],
  ['its last hop', 483, [['Max-Forwards: 70', 'Max-Forwards: 0']]],
  ['binary characters in a name', 488, [['<sip:100@', '<sip:%E6%B1%89@']]],
  ['an unknown method', 501, [['MESSAGE', 'SING']]],
  ['another version', 505, [[' SIP/2.0\nVia', ' SIP/3.0\nVia']]],
  ['what has expired', 408, [['Content-Type:', 'Expires: 0\nContent-Type:']]],
];

function sippRefused(name, code, changes) {
  let request = `MESSAGE sip:${number}@127.0.0.1:${ports.udp} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
Max-Forwards: 70
From: <sip:100@example.com>;tag=[call_number]
To: <sip:${number}@example.com>
Call-ID: [call_id]
CSeq: 1 MESSAGE
Content-Type: text/plain;charset=UTF-8
Content-Length: [len]

${text}`;
  for (const [what, by] of changes) request = request.replaceAll(what, by);
  const scenario = file('refused.xml', `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="refused">
<send retrans="500"><![CDATA[\n${request}\n]]></send>\n<recv response="${code}"/>\n</scenario>\n`);
  return new Promise(resolve => spawn('sipp', ['-sf', scenario, '-m', '1', '-i', '127.0.0.1', '-nostdin', '-trace_err', '-trace_msg',
    '-timeout', '5s', '-timeout_error', `127.0.0.1:${ports.udp}`], { cwd: work, stdio: 'ignore' }).on('exit', resolve));
}

// A WebSocket as a page of some browser opens it.
class PageSocket extends WebSocket {
  constructor(url, protocols) { super(url, protocols, { origin: 'https://phone.example.com' }); }
}

function jssip(user, password, from) {
  global.WebSocket = PageSocket;
  const JsSIP = require('jssip');
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(`ws://127.0.0.1:${ports.ws}/`)], uri: `sip:${from}@example.com`,
    authorization_user: user, password, register: false,
  });
  return new Promise(resolve => {
    const done = outcome => { ua.stop(); resolve(outcome); };
    ua.on('connected', () => ua.sendMessage(`sip:${number}@example.com`, text, {
      eventHandlers: { succeeded: e => done(e.response.status_code), failed: e => done(e.response ? e.response.status_code : e.cause) },
    }));
    ua.on('disconnected', e => done(`disconnected: ${JSON.stringify(e.error || e)}`));
    setTimeout(() => done('no answer'), 8000).unref();
    ua.start();
  });
}

const cli = (...args) => JSON.parse(execFileSync(path.join(binaries, 'sipsmpp-cli'), ['-u', `http://127.0.0.1:${ports.mi}/mi`, '-x', 'mi', ...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));

async function main() {
  const running = [];
  const start = (what, ...args) => {
    const out = fs.openSync(path.join(work, `${path.basename(what)}.log`), 'w');
    const child = spawn(what, args, { cwd: work, stdio: ['ignore', out, out] });
    child.on('error', error => console.log(`${what}: ${error.message}`));
    running.push(child);
    return child;
  };
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.udp]: 'sip' });
  try {
    certificate(work);
    await new Promise(resolve => smsc.listen(ports.smsc, '127.0.0.1', resolve));
    await new Promise(resolve => sink.bind(ports.sink, '127.0.0.1', resolve));
    start('kamailio', '-f', kamailio(), '-DD', '-E', '-w', work, '-Y', work, '-P', path.join(work, 'kamailio.pid'));
    start(path.join(binaries, 'sipsmppd'), '-c', file('sipsmpp.yaml', `
node: interop
db: ${database}
sip:
  listen: [udp:127.0.0.1:${ports.udp}, ws:127.0.0.1:${ports.ws}, tls:127.0.0.1:${ports.tls}]
  outbound_uri: sip:127.0.0.1:${ports.proxyTLS};transport=tls
  domain: example.com
  auth_algorithms: [MD5] # sipp and JsSIP know no other, and read one challenge alone
  trusted: [127.0.0.1]
  tls_cert: ${work}/cert.pem
  tls_key: ${work}/key.pem
  tls_ca: ${work}/cert.pem
  probe_interval: 1s
smpp:
  listen: []
mi:
  listen: 127.0.0.1:${ports.mi}
`));
    await until('the gateway', () => { try { return cli('uptime'); } catch { return null; } });
    execFileSync(path.join(binaries, 'sipsmpp-cli'), ['-u', `http://127.0.0.1:${ports.mi}/mi`, '-x', 'mi', 'smpp_add', 'name=node', 'ip=127.0.0.1', `port=${ports.smsc}`, 'system_id=gw', 'password=secret']);
    await until('the bind', () => esme);

    // Strangers, and users with credentials.
    check('sipp from elsewhere without a user there', await sipp('al', 'secret', '100', ports.udp, '127.0.0.2') !== 0, 'it was let in');
    cli('sip_user_add', 'username=al', 'password=secret', 'numbers=100');
    check('sipp with credentials', await sipp('al', 'secret', '100', ports.udp, '127.0.0.2') === 0, `see ${work}`);
    let got = arrived();
    check('what sipp sent', got && got.text === text && got.from === '100', JSON.stringify(got));
    check('sipp with a wrong password', await sipp('al', 'wrong', '100', ports.udp, '127.0.0.2') !== 0, 'it was let in');
    check('sipp with the number of another', await sipp('al', 'secret', '101', ports.udp, '127.0.0.2') !== 0, 'it was let in');
    check('nothing of those went out', submits.length === 0, JSON.stringify(submits));

    let code = await jssip('al', 'secret', '100');
    got = arrived();
    check('JsSIP over WebSocket', code === 202 && got && got.text === text, `${code} ${JSON.stringify(got)}`);
    code = await jssip('al', 'wrong', '100');
    check('JsSIP with a wrong password', code === 401, code);

    // Kamailio in both directions.
    check('by way of Kamailio', await sipp('', '', '100', ports.proxy, '127.0.0.1') === 0, `see ${work}`);
    got = arrived();
    check('what came by way of Kamailio', got && got.text === text, JSON.stringify(got));
    const status = await deliver(text);
    check('deliver_sm by way of Kamailio', status === 0, `deliver_sm_resp has status ${status}`);
    check('what left by way of Kamailio', sunk.length === 1 && sunk[0].endsWith(`\r\n\r\n${text}`) && sunk[0].includes('/TLS '), JSON.stringify(sunk));

    // Each error that a request can have.
    for (const [name, code, changes] of refused) {
      check(`sipp: ${name} gets ${code}`, await sippRefused(name, code, changes) === 0, `see ${work}`);
    }
    check('nothing of what was refused went out', submits.length === 0, JSON.stringify(submits));

    // The proxy goes and comes back.
    const state = () => cli('sip_list').next_hops[0].state;
    await until('the proxy is up', () => state() === 'up');
    running[0].kill('SIGTERM');
    check('the proxy that went is down', await until('its state', () => state() === 'down'), 'it is not');
    start('kamailio', '-f', path.join(work, 'kamailio.cfg'), '-DD', '-E', '-w', work, '-Y', work, '-P', path.join(work, 'kamailio.pid'));
    check('the proxy that came back is up', await until('its state', () => state() === 'up'), 'it is not');

    await cap.end();
    const ours = cap.read(`(tcp.dstport == ${ports.smsc} || udp.srcport == ${ports.udp}) && _ws.malformed`);
    check('tshark finds nothing malformed of ours', ours === '', ours);
  } finally {
    for (const child of [cap, ...running.reverse()]) child.kill('SIGTERM');
  }
}

run(main, check, work);
