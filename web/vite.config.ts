import { svelte } from '@sveltejs/vite-plugin-svelte';
import { fileURLToPath } from 'node:url';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vitest/config';
import { packed } from './build/packed';

const SERVER = 'http://127.0.0.1:4080';

export default defineConfig({
  plugins: [svelte(), svelteTesting(), packed()],
  resolve: { alias: { $lib: fileURLToPath(new URL('src/lib', import.meta.url)) } },
  build: {
    outDir: '../src/pilothouse/gateway/static',
    emptyOutDir: true,
    target: 'es2022',
    // The policy of the page allows no inline script, and Vite's helper for old browsers would be one.
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
  },
  server: {
    proxy: { '/api': SERVER, '/ws': { target: SERVER.replace('http', 'ws'), ws: true } },
  },
  test: { environment: 'jsdom', include: ['src/**/*.test.ts'], restoreMocks: true },
});
