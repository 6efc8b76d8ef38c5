import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes dist/sbom.cdx.json, the program's bill of materials in CycloneDX: `npm run sbom`. */
const root = join(import.meta.dirname, '..');
const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string };

interface Bom {
  metadata: { component: { name: string } };
  components: object[];
}

const args = [
  'sbom',
  '--sbom-format',
  'cyclonedx',
  '--sbom-type',
  'application',
  '--omit',
  'dev',
  '--package-lock-only',
];
const bom = JSON.parse(execFileSync('npm', args, { cwd: root, encoding: 'utf8' })) as Bom;
// npm takes the folder's name.
bom.metadata.component.name = name;
const { node } = process.versions;
bom.components.push({
  'bom-ref': `node@${node}`,
  type: 'platform',
  name: 'node',
  version: node,
  scope: 'required',
  purl: `pkg:generic/node@${node}`,
  cpe: `cpe:2.3:a:nodejs:node.js:${node}:*:*:*:-:*:*:*`,
});
mkdirSync(join(root, 'dist'), { recursive: true });
const path = join(root, 'dist', 'sbom.cdx.json');
writeFileSync(path, `${JSON.stringify(bom, null, 2)}\n`);
console.log(`${path}: ${bom.components.length} components`);
