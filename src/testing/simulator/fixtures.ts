import type { Some } from './prng.ts';

/** Who acts in the simulated tenant; everything but the addresses is JSON text, ready to be placed in an event. */
export interface Person {
  /** The `user` object. */
  readonly user: string;
  readonly email: string;
  readonly agents: Some<string>;
  readonly addresses: Some<string>;
}

const json = JSON.stringify;

const chromeOnWindows =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';
const chromeOnMac =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36';
const edge =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0';
const firefoxOnLinux = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0';
const firefoxOnMac = 'Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:144.0) Gecko/20100101 Firefox/144.0';
const safari =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Safari/605.1.15';
const iphone =
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1';
const android =
  'Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36';

function person(id: number, name: string, mailbox: string, agents: Some<string>, addresses: Some<string>): Person {
  const email = `${mailbox}@acme.example`;
  const [first, ...more] = agents;
  return {
    user: json({ id, name, email }),
    email: json(email),
    agents: [json(first), ...more.map((agent) => json(agent))],
    addresses,
  };
}

/** Those who administer the tenant. All addresses are the documentation's own (RFC 5737, RFC 3849). */
export const admins: Some<Person> = [
  person(1, 'Margaret Hamilton', 'margaret', [chromeOnMac, iphone], ['192.0.2.10', '2001:db8:10::1f']),
  person(2, 'Zoë Ångström', 'zoe.angstrom', [firefoxOnLinux], ['192.0.2.11', '192.0.2.94']),
  person(7, 'Dana "Root" O\'Neil', 'dana', [edge, chromeOnWindows], ['198.51.100.7']),
];

export const people: Some<Person> = [
  ...admins,
  person(12, 'Priya Natarajan', 'priya', [chromeOnWindows, android], ['192.0.2.37', '203.0.113.80']),
  person(13, 'Tomás Núñez', 'tomas', [firefoxOnMac], ['198.51.100.23', '2001:db8:20:4::9']),
  person(15, 'أمينة الهاشمي', 'amina', [chromeOnWindows], ['198.51.100.41']),
  person(16, '陳大文 (David)', 'david.chan', [chromeOnMac, iphone], ['2001:db8:77::2', '203.0.113.120']),
  person(21, 'Sam 🚀 Rivera', 'sam.rivera', [safari, iphone], ['192.0.2.58']),
  person(22, 'Miro Kovač', 'miro', [firefoxOnLinux], ['192.0.2.59', '2001:db8:10::3b']),
  person(34, 'Li Wei', 'li.wei', [edge], ['203.0.113.9']),
  person(35, "Siobhán D'Arcy", 'siobhan', [chromeOnWindows, android], ['198.51.100.77']),
  person(55, 'CI Bot', 'ci-bot', ['qasphere-cli/0.9.2 node/24.11.0 linux'], ['203.0.113.200', '203.0.113.201']),
  person(89, 'Mail\\Merge | Test = 1', 'merge.test', [chromeOnWindows], ['192.0.2.99']),
];

/** What the tenant itself runs with, where `user` is null. */
export const system = { agent: json('QASphere-Scheduler/1.0'), address: '192.0.2.1' };

/** Where strangers try passwords from. */
export const strangers: Some<string> = ['203.0.113.66', '203.0.113.67', '198.51.100.250', '2001:db8:bad::1'];

/** User agents that break careless forwarders; they belong to strangers, who send what they like. */
export const hostileAgents: Some<string> = [
  json('curl/8.16.0'),
  json('python-requests/2.32.5'),
  json('curl/8.16.0\r\n<13>1 - forged - - - - user.delete'),
  json('Mozilla/5.0 "quoted" \\back\\slash | pipe = equals, tab\there'),
  json('sqlmap/1.9 \u202egnp.exe\u202c \u2028next line'),
  json('half an emoji \ud83d'),
  json(`Googlebot/2.1 ${'padding '.repeat(60)}`),
  json(''),
];
