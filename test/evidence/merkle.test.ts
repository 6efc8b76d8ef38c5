import { hash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  auditPath,
  type Hash,
  hashFromHex,
  hexOf,
  leafHash,
  MerkleTree,
  rootFromPath,
  rootOf,
} from '../../src/evidence/merkle.ts';

/** The leaves and roots that Certificate Transparency publishes with its implementation of RFC 6962. */
const published = {
  leaves: ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f'],
  roots: [
    'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
    '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
    'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
    'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
    'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
    '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
    '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
    'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
    '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
  ],
};

const leafOf = (hex: string): Hash => hash('sha256', Buffer.from(`00${hex}`, 'hex'), 'latin1');
const leavesOf = (count: number): Hash[] =>
  Array.from({ length: count }, (_, id) => leafHash(BigInt(id), Buffer.from(`event ${id}`)));

describe('a Merkle tree', () => {
  it('has the published roots', () => {
    const tree = new MerkleTree();
    expect(hexOf(tree.root)).toBe(published.roots[0]);
    for (const [index, leaf] of published.leaves.entries()) {
      tree.add(leafOf(leaf));
      expect(hexOf(tree.root)).toBe(published.roots[index + 1]);
    }
  });

  it('hashes id, line feed and bytes into a leaf', () => {
    expect(hexOf(leafHash(42n, Buffer.from('{"id":42}')))).toBe(hash('sha256', '\x0042\n{"id":42}', 'hex'));
    expect(leafHash('42', Buffer.from('x'))).toBe(leafHash(42n, Buffer.from('x')));
    expect(leafHash(4n, Buffer.from('2\nx'))).not.toBe(leafHash(42n, Buffer.from('x')));
  });

  it('goes on from its frontier as if it had never stopped', () => {
    fc.assert(
      fc.property(fc.nat(200), fc.nat(200), (before, after) => {
        const leaves = leavesOf(before + after);
        const whole = new MerkleTree();
        for (const leaf of leaves) whole.add(leaf);
        const first = new MerkleTree();
        for (const leaf of leaves.slice(0, before)) first.add(leaf);
        const resumed = MerkleTree.of(first.size, first.frontier);
        for (const leaf of leaves.slice(before)) resumed.add(leaf);
        expect(resumed.root).toBe(whole.root);
        expect(resumed.frontier).toEqual(whole.frontier);
      }),
    );
  });

  it('refuses a frontier that does not fit its size', () => {
    expect(() => MerkleTree.of(3, [hashFromHex('ab'.repeat(32))])).toThrow(RangeError);
  });
});

describe('an audit path', () => {
  it('leads from each leaf to the root', () => {
    for (let size = 1; size < 40; size++) {
      const leaves = leavesOf(size);
      for (const [index, leaf] of leaves.entries())
        expect(rootFromPath(leaf, index, size, auditPath(leaves, index))).toBe(rootOf(leaves));
    }
  });

  it('leads elsewhere with another leaf, index, size or path', () => {
    const leaves = leavesOf(13);
    const path = auditPath(leaves, 6);
    const root = rootOf(leaves);
    expect(rootFromPath(leaves[5] as Hash, 6, 13, path)).not.toBe(root);
    expect(rootFromPath(leaves[6] as Hash, 7, 13, path)).not.toBe(root);
    expect(rootFromPath(leaves[6] as Hash, 6, 13, path.slice(1))).not.toBe(root);
    expect(rootFromPath(leaves[6] as Hash, 6, 13, [...path, ...path])).not.toBe(root);
    expect(rootFromPath(leaves[6] as Hash, 13, 13, path)).toBeUndefined();
  });
});
