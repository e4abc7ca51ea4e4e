/** Compresses what the build wrote, so that no server has to at each request. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';

const TEXT = /\.(js|css|html|svg|json)$/;
/** Bytes under which a compressed file saves nothing. */
const LEAST = 1024;

export function packed(): Plugin {
  let directory = '';
  return {
    name: 'packed',
    apply: 'build',
    configResolved(config) {
      directory = join(config.root, config.build.outDir);
    },
    closeBundle() {
      for (const path of files(directory)) {
        const content = readFileSync(path);
        if (!TEXT.test(path) || content.length < LEAST) continue;
        writeFileSync(`${path}.br`, brotliCompressSync(content));
        writeFileSync(`${path}.gz`, gzipSync(content, { level: 9 }));
      }
    },
  };
}

function files(directory: string): string[] {
  return readdirSync(directory)
    .map((name) => join(directory, name))
    .flatMap((path) => (statSync(path).isDirectory() ? files(path) : [path]));
}
