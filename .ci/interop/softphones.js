// Softphones that its authors did not write, registered to the gateway itself and by way of Kamailio: baresip (UDP), linphone (TLS)
// and JsSIP (WebSocket) talk by text with a simulated handset, and sipp registers with everything that a registrar must refuse.
// smscsim is the SMSC.
//
//   node softphones.js BINARIES DATABASE
//
// BINARIES is the folder of sipsmppd, sipsmpp-cli and smscsim. DATABASE is a db: value of the gateway whose tables may be used. It ends
// with 1 and says what differs if one thing is not as it should be.
'use strict';
const { spawn, execFileSync } = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const path = require('node:path');
const WebSocket = require('ws');
const { wait, until, ended, folder, checks, run, certificate, capture } = require('./rig');

const [binaries, database] = process.argv.slice(2);
const work = folder('softphones');
const ports = { // below those that the kernel gives to outgoing connections
  smsc: 24775, control: 24779, sip: 27060, tls: 27061, ws: 27062, mi: 27888, proxy: 27070,
  baresip: 27160, baresipControl: 27170, linphone: 27260, viaProxy: 27360, viaProxyControl: 27370,
};
const handset = '+4915112345678';
const domain = 'sms.example.com';
const text = 'Grüße, 汉字 and 👋';

const check = checks();

const file = (name, content) => {
  fs.mkdirSync(path.dirname(path.join(work, name)), { recursive: true });
  fs.writeFileSync(path.join(work, name), content);
  return path.join(work, name);
};
const read = name => { try { return fs.readFileSync(path.join(work, name), 'utf8'); } catch { return ''; } };
const running = [];
function start(log, what, args, options = {}) {
  const out = fs.openSync(path.join(work, log), 'w');
  const child = spawn(what, args, { cwd: work, stdio: ['pipe', out, out], ...options });
  child.on('error', error => console.log(`${what}: ${error.message}`));
  child.stdin.on('error', () => {});
  running.push(child);
  return child;
}
async function stop(child) {
  child.kill('SIGTERM');
  await Promise.race([ended(child), wait(3000)]);
}

const mi = `http://127.0.0.1:${ports.mi}/mi`;
const cli = (...args) => JSON.parse(execFileSync(path.join(binaries, 'sipsmpp-cli'), ['-u', mi, '-x', 'mi', ...args],
  { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
const contacts = user => cli('sip_contacts', user).contacts;

// What the handset sends, by its SMSC: the command_status of deliver_sm_resp; and what reached it.
async function fromHandset(to, message) {
  const query = new URLSearchParams({ from: handset, to, text: message });
  const answer = await fetch(`http://127.0.0.1:${ports.control}/mo?${query}`, { method: 'POST' });
  return JSON.parse(await answer.text()).command_status;
}
const atHandset = (from, message) => read('smsc.log').split('\n')
  .some(line => line.includes('submit_sm') && line.includes(` ${from.replace('+', '')} -> `) && line.includes(JSON.stringify(message)));

// --- the gateway ---

let daemon;
async function gateway() {
  daemon = start('gateway.log', path.join(binaries, 'sipsmppd'), ['-c', file('sipsmpp.yaml', `
node: softphones
db: ${database}
sip:
  listen: [udp:127.0.0.1:${ports.sip}, tcp:127.0.0.1:${ports.sip}, tls:127.0.0.1:${ports.tls}, ws:127.0.0.1:${ports.ws}]
  domain: ${domain}
  registrar: true
  auth_algorithms: [MD5] # baresip 1.0, sipp and JsSIP know no other, and read one challenge alone
  trusted: [127.0.0.3] # the proxy
  tls_cert: ${work}/cert.pem
  tls_key: ${work}/key.pem
smpp:
  listen: []
mi:
  listen: 127.0.0.1:${ports.mi}
`)]);
  await until('the gateway', () => { try { return cli('uptime'); } catch { return null; } });
}

// --- the softphones ---

// baresip by its control port; what it got is in its trace.
function baresip(name, number, password, outbound, port, control) {
  file(`${name}/config`, `sip_listen 127.0.0.1:${port}
module_path /usr/lib/baresip/modules
module_app account.so
module_app contact.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:${control}
`);
  file(`${name}/accounts`, `<sip:${number}@${domain};transport=udp>;auth_user=${number};auth_pass=${password};outbound="${outbound}";regint=600\n`);
  file(`${name}/contacts`, `"Handset" <sip:${handset}@${domain}>\n`);
  const child = start(`${name}.log`, 'baresip', ['-f', path.join(work, name), '-s', '-v']);
  const command = (command, params = '') => new Promise((resolve, reject) => {
    const line = JSON.stringify({ command, params });
    const socket = net.connect(control, '127.0.0.1', () => socket.write(`${Buffer.byteLength(line)}:${line},`));
    socket.on('data', data => { const s = data.toString(); if (s.includes('"response":true')) { resolve(s); socket.destroy(); } });
    socket.on('error', reject);
  });
  return { child, command, send: message => command('message', message), got: message => read(`${name}.log`).includes(message) };
}

// linphone by the commands of its daemon.
function linphone(number, password, proxy) {
  fs.mkdirSync(path.join(work, 'linphone/.local/share/linphone'), { recursive: true });
  const rc = file('linphone/rc', `[sip]
sip_port=${ports.linphone}
sip_tcp_port=${ports.linphone}
sip_tls_port=-1
use_ipv6=0
default_proxy=0
verify_server_certs=0
[proxy_0]
reg_proxy=<${proxy}>
reg_route=<${proxy}>
reg_identity=<sip:${number}@${domain}>
reg_expires=600
reg_sendregister=1
publish=0
[auth_info_0]
username=${number}
passwd=${password}
realm=${domain}
`);
  const child = start('linphone.log', 'linphone-daemon', ['--config', rc], { env: { ...process.env, HOME: path.join(work, 'linphone') } });
  return {
    child,
    send: message => child.stdin.write(`message sip:${handset}@${domain} ${message}\n`),
    got: message => read('linphone.log').includes(`Content: "${message}"`),
  };
}

class PageSocket extends WebSocket { // as a page of some browser opens it
  constructor(url, protocols) { super(url, protocols, { origin: 'https://phone.example.com' }); }
}
function jssip(number, password) {
  global.WebSocket = PageSocket;
  const JsSIP = require('jssip');
  const got = [];
  const ua = new JsSIP.UA({
    sockets: [new JsSIP.WebSocketInterface(`ws://127.0.0.1:${ports.ws}/`)], uri: `sip:${number}@${domain}`, password,
    connection_recovery_min_interval: 1, connection_recovery_max_interval: 1,
  });
  ua.on('newMessage', e => { if (e.originator === 'remote') got.push(e.request.body); });
  ua.start();
  return {
    ua, got: message => got.includes(message),
    send: message => new Promise(resolve => ua.sendMessage(`sip:${handset}@${domain}`, message, {
      eventHandlers: { succeeded: e => resolve(e.response.status_code), failed: e => resolve(e.response ? e.response.status_code : e.cause) },
    })),
  };
}

// Kamailio in front: it adds Path to what registers, and relays what the gateway sends along it.
function kamailio() {
  return start('kamailio.log', 'kamailio', ['-f', file('kamailio.cfg', `#!KAMAILIO
debug=1
log_stderror=yes
children=2
listen=udp:127.0.0.3:${ports.proxy}
loadmodule "pv.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "path.so"
loadmodule "siputils.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "nathelper.so"
request_route {
  if (!mf_process_maxfwd_header("10")) { sl_send_reply("483", "Too Many Hops"); exit; }
  if ($si == "127.0.0.1" && $sp == ${ports.sip}) { # from the gateway, along the Path
    loose_route();
    t_relay();
    exit;
  }
  force_rport();
  if (is_method("REGISTER")) { add_path(); }
  remove_hf("Route"); # the outbound proxy of the telephone: this one
  $du = "sip:127.0.0.1:${ports.sip}";
  t_relay();
}
`), '-DD', '-E', '-w', work, '-Y', work, '-P', path.join(work, 'kamailio.pid')]);
}

// sipp registers: what it sends, and which codes it must get. Each step is [fields, code, CSeq]; without one CSeq grows by one.
function sipp(name, user, password, steps, callID) {
  const register = (cseq, fields, auth) => `<send retrans="500"><![CDATA[
REGISTER sip:127.0.0.1:${ports.sip} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch];rport
Max-Forwards: 70
From: <sip:${user}@${domain}>;tag=[call_number]
To: <sip:${user}@${domain}>
Call-ID: [call_id]
CSeq: ${cseq} REGISTER
${auth}${fields}Content-Length: 0

]]></send>`;
  let cseq = 0;
  const scenario = steps.map(([fields, code, seq]) => {
    const first = `${register(++cseq, fields, '')}\n<recv response="401" auth="true"/>`;
    return `${first}\n${register(seq || ++cseq, fields, `[authentication username=${user} password=${password}]\n`)}\n<recv response="${code}"/>`;
  }).join('\n');
  const xml = file(`${name}.xml`, `<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="${name}">\n${scenario}\n</scenario>\n`);
  return new Promise(resolve => spawn('sipp', [...(callID ? ['-cid_str', callID] : []), '-sf', xml, '-m', '1', '-i', '127.0.0.1', '-nostdin', '-trace_err', '-trace_msg',
    '-timeout', '8s', '-timeout_error', `127.0.0.1:${ports.sip}`], { cwd: work, stdio: 'ignore' }).on('exit', resolve));
}

// --- what must be so ---

async function conversation(name, number, phone) {
  await until(`${name}'s registration`, () => contacts(number).length === 1);
  check(`${name} is told of in sip_contacts`, contacts(number)[0].username === number, JSON.stringify(contacts(number)));
  check(`the handset's message is taken`, await fromHandset(number, `${text} to ${name}`) === 0, 'it was refused');
  await until(`the handset's message at ${name}`, () => phone.got(`${text} to ${name}`));
  await phone.send(`${text} from ${name}`);
  await until(`${name}'s message at the handset`, () => atHandset(number, `${text} from ${name}`));
  check(`${name} and the handset talk`, true);
}

async function main() {
  certificate(work);
  const cap = await capture(work, { [ports.smsc]: 'smpp', [ports.sip]: 'sip' });
  running.push(cap);
  start('smsc.log', path.join(binaries, 'smscsim'), ['--listen', `127.0.0.1:${ports.smsc}`, '--control', `127.0.0.1:${ports.control}`]);
  await gateway();
  cli('smpp_add', 'name=sim', 'ip=127.0.0.1', `port=${ports.smsc}`, 'system_id=gw', 'password=secret');
  await until('the bind', () => cli('smpp_list').connections[0].state === 'bound');
  for (const number of ['100', '+4930200', '300', '400', '500']) cli('sip_user_add', `username=${number}`, 'password=secret');

  // Each on its own.
  check('what comes for who is away is kept', await fromHandset('100', 'too early') === 0 && cli('message_list', 'state=deferred').messages.length === 1,
    JSON.stringify(cli('message_list')));
  const bare = baresip('baresip', '100', 'secret', `sip:127.0.0.1:${ports.sip};transport=udp`, ports.baresip, ports.baresipControl);
  await until("baresip's registration", () => contacts('100').length === 1);
  await until('what was kept until baresip registered', () => bare.got('too early'), 3); // the next attempt by time is later
  check('what was kept comes with the registration', true);
  await conversation('baresip', '100', bare);
  const lin = linphone('+4930200', 'secret', `sip:127.0.0.1:${ports.tls};transport=tls`);
  await conversation('linphone', '+4930200', lin);
  const page = jssip('300', 'secret');
  await conversation('JsSIP', '300', page);
  kamailio();
  const proxied = baresip('proxied', '400', 'secret', `sip:127.0.0.3:${ports.proxy};transport=udp`, ports.viaProxy, ports.viaProxyControl);
  await conversation('baresip behind Kamailio', '400', { ...proxied, got: m => proxied.got(m) });
  check('what goes behind Kamailio goes by its Path', /<sip:127\.0\.0\.3:\d+;.*lr/.test(contacts('400')[0].path || ''), JSON.stringify(contacts('400')));

  // A restart: who registered by UDP or a proxy is reached at once, who had a connection once it is back.
  await stop(daemon);
  await gateway();
  await until('the bind', () => cli('smpp_list').connections[0].state === 'bound');
  check('baresip is registered after a restart', contacts('100').length === 1, JSON.stringify(contacts('100')));
  check('its message after a restart', await fromHandset('100', 'after the restart') === 0, 'it was refused');
  await until('what came after the restart', () => bare.got('after the restart'));
  check('behind Kamailio after a restart', await fromHandset('400', 'behind the proxy again') === 0, 'it was refused');
  await until('what came by the proxy after the restart', () => proxied.got('behind the proxy again'));
  await until('JsSIP is back', () => contacts('300').length === 1);
  check("JsSIP's message after a restart", await fromHandset('300', 'page, again') === 0, 'it was refused');
  await until('what came to the page after the restart', () => page.got('page, again'));

  // Going.
  await bare.command('quit');
  await until('baresip unregisters', () => contacts('100').length === 0);
  page.ua.transport.disconnect(); // without a word
  await until('JsSIP is gone with its connection', () => contacts('300').length === 0);
  check('what comes for who went is kept', await fromHandset('300', 'too late') === 0 && cli('message_list', 'state=deferred').messages.length === 1,
    JSON.stringify(cli('message_list')));

  // What a registrar must answer.
  const contact = 'Contact: <sip:500@[local_ip]:[local_port]>\n';
  const fine = [
    ['good', '500', 'secret', [[contact, 200], [`${contact}Expires: 600\n`, 200], ['', 200], [`Contact: <sip:500@[local_ip]:[local_port]>;expires=0\n`, 200]]],
    ['everything', '500', 'secret', [[contact, 200], ['Contact: *\nExpires: 0\n', 200]]],
    ['brief', '500', 'secret', [[`${contact}Expires: 5\n`, 423], [`${contact}Expires: 60\n`, 200]]],
    ['star', '500', 'secret', [['Contact: *\n', 400]]],
    ['nocontact', '500', 'secret', [['Contact: <mailto:a@b>\n', 400]]],
    ['in order', '500', 'secret', [[contact, 200, 20]], 'order'],
    ['out of order', '500', 'secret', [[contact, 400, 5]], 'order'],
    ['require', '500', 'secret', [[`${contact}Require: gruu\n`, 420]]],
    ['path', '500', 'secret', [[`${contact}Path: <sip:evil.example.com;lr>\n`, 420]]],
    ['wrong', '500', 'wrong', [[contact, 401]]],
    ['nobody', '600', 'secret', [[contact, 401]]],
  ];
  for (const [name, user, password, steps, callID] of fine) {
    check(`sipp registers: ${name}`, await sipp(name.replaceAll(' ', '-'), user, password, steps, callID) === 0, `see ${work}`);
    cli('sip_contacts'); // and it serves on
  }
  check('what was refused left nothing', contacts('500').every(c => !/evil|mailto/.test(JSON.stringify(c))), JSON.stringify(contacts('500')));
  const faults = read('gateway.log').split('\n').filter(l => /level=(ERROR|WARN)/.test(l) && !l.includes('wrong credentials'));
  check('no fault is logged', faults.length === 0, faults.join('\n'));
  check('wrong credentials are', ['500', '600'].every(user => new RegExp(`wrong credentials.* user=${user} `).test(read('gateway.log'))), 'they are not');

  await cap.end();
  const ours = cap.read(`(tcp.dstport == ${ports.smsc} || udp.srcport == ${ports.sip} || tcp.srcport == ${ports.sip}) && _ws.malformed`);
  check('tshark finds nothing malformed of ours', ours === '', ours);
}

async function stopAll() {
  for (const child of running.reverse()) child.kill('SIGTERM');
  await wait(300);
  for (const child of running) child.kill('SIGKILL');
}

run(() => main().finally(stopAll), check, work);
