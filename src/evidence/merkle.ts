import { hash } from 'node:crypto';
import type { Cursor } from '../event/event.ts';

/**
 * A SHA-256 hash: 32 bytes as a latin1 string. Node computes it in half the time that a Buffer takes, and a seal hashes each
 * event about three times.
 */
export type Hash = string;

const hashBytes = 32;
const nodeBytes = 1 + 2 * hashBytes;

/** Lower-case hex. */
export const hexOf = (value: Hash): string => Buffer.from(value, 'latin1').toString('hex');

export const hashFromHex = (hex: string): Hash => Buffer.from(hex, 'hex').toString('latin1');

const sha256 = (bytes: Uint8Array): Hash => hash('sha256', bytes, 'latin1');

/** The root of a tree without leaves (RFC 6962 section 2.1). */
const emptyRoot: Hash = sha256(Buffer.alloc(0));

/** The hash of an inner node (RFC 6962 section 2.1). `scratch`: 65 bytes, the first of them 1. */
function nodeHash(left: Hash, right: Hash, scratch = Buffer.alloc(nodeBytes, 1)): Hash {
  scratch.write(left, 1, hashBytes, 'latin1');
  scratch.write(right, 1 + hashBytes, hashBytes, 'latin1');
  return sha256(scratch);
}

/** The hash of a leaf (RFC 6962 section 2.1) whose data is the id in digits, a line feed and `bytes`. */
export function leafHash(id: Cursor | string, bytes: Uint8Array): Hash {
  return new LeafHasher().hash(id, bytes);
}

/** The same for many leaves, in one buffer. */
export class LeafHasher {
  #scratch = Buffer.alloc(0);

  hash(id: Cursor | string, bytes: Uint8Array): Hash {
    const prefix = `\0${id}\n`;
    const length = prefix.length + bytes.length;
    if (this.#scratch.length < length) this.#scratch = Buffer.alloc(2 * length);
    this.#scratch.write(prefix, 'latin1');
    this.#scratch.set(bytes, prefix.length);
    return sha256(this.#scratch.subarray(0, length));
  }
}

interface Subtree {
  readonly size: number;
  readonly hash: Hash;
}

/**
 * A Merkle tree (RFC 6962 section 2.1) that grows at its end and stores only its frontier: the roots of the complete subtrees
 * that it consists of, one for each bit that is set in its size.
 */
export class MerkleTree {
  readonly #frontier: Subtree[] = [];
  readonly #scratch = Buffer.alloc(nodeBytes, 1);
  #size = 0;

  /** Restores a tree from `size` and `frontier`. @throws {RangeError} if they do not fit each other */
  static of(size: number, frontier: readonly Hash[]): MerkleTree {
    const tree = new MerkleTree();
    const sizes = subtreeSizes(size);
    if (sizes.length !== frontier.length)
      throw new RangeError(`a tree of ${size} leaves has a frontier of ${sizes.length} hashes, not ${frontier.length}`);
    for (const [index, subtree] of sizes.entries())
      tree.#frontier.push({ size: subtree, hash: frontier[index] as Hash });
    tree.#size = size;
    return tree;
  }

  /** Number of leaves. */
  get size(): number {
    return this.#size;
  }

  /** The roots of the complete subtrees, largest first. */
  get frontier(): readonly Hash[] {
    return this.#frontier.map(({ hash: root }) => root);
  }

  get root(): Hash {
    const last = this.#frontier.at(-1);
    if (last === undefined) return emptyRoot;
    return this.#frontier.slice(0, -1).reduceRight((right, { hash: left }) => nodeHash(left, right), last.hash);
  }

  /** Adds the hash of a leaf at the end. */
  add(leaf: Hash): void {
    let added: Subtree = { size: 1, hash: leaf };
    for (let last = this.#frontier.at(-1); last?.size === added.size; last = this.#frontier.at(-1)) {
      this.#frontier.pop();
      added = { size: 2 * added.size, hash: nodeHash(last.hash, added.hash, this.#scratch) };
    }
    this.#frontier.push(added);
    this.#size += 1;
  }
}

/** The powers of two that make up `size`, largest first. */
function subtreeSizes(size: number): number[] {
  const bits = size.toString(2);
  return [...bits].flatMap((bit, index) => (bit === '1' ? [2 ** (bits.length - 1 - index)] : []));
}

/** The root over these leaves. */
export function rootOf(leaves: readonly Hash[]): Hash {
  const tree = new MerkleTree();
  for (const leaf of leaves) tree.add(leaf);
  return tree.root;
}

/** The audit path of one leaf, from the leaf up (RFC 6962 section 2.1.1). */
export function auditPath(leaves: readonly Hash[], index: number): Hash[] {
  if (leaves.length <= 1) return [];
  const left = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
  return index < left
    ? [...auditPath(leaves.slice(0, left), index), rootOf(leaves.slice(left))]
    : [...auditPath(leaves.slice(left), index - left), rootOf(leaves.slice(0, left))];
}

/** The root that a leaf and its audit path lead to (RFC 9162 section 2.1.3.2); undefined if the path does not fit. */
export function rootFromPath(leaf: Hash, index: number, size: number, path: readonly Hash[]): Hash | undefined {
  if (index < 0 || index >= size) return undefined;
  let [node, last, root] = [index, size - 1, leaf];
  for (const other of path) {
    if (last === 0) return undefined;
    if (node % 2 === 1 || node === last) {
      root = nodeHash(other, root);
      while (node % 2 === 0 && node !== 0) [node, last] = [node / 2, Math.floor(last / 2)];
    } else root = nodeHash(root, other);
    [node, last] = [Math.floor(node / 2), Math.floor(last / 2)];
  }
  return last === 0 ? root : undefined;
}
