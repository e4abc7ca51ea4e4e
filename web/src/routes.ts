/** The table of pages: where, what it needs to be shown, how it is loaded. Each page is a chunk of its own. */
import House from '@lucide/svelte/icons/house';
import ScrollText from '@lucide/svelte/icons/scroll-text';
import Settings from '@lucide/svelte/icons/settings';
import ShieldCheck from '@lucide/svelte/icons/shield-check';
import type { Component } from 'svelte';

export interface Page {
  readonly path: string;
  readonly title: string;
  readonly icon: typeof House;
  /** A permission without which the page is not shown. */
  readonly needs?: string;
  /** The letter that, after `g`, goes there. */
  readonly key: string;
  /** Whether the page is of a time range. */
  readonly ranged: boolean;
  readonly load: () => Promise<{ default: Component }>;
}

export const PAGES: readonly Page[] = [
  {
    path: '/',
    title: 'Overview',
    icon: House,
    key: 'o',
    ranged: false,
    load: () => import('$lib/features/overview/OverviewPage.svelte'),
  },
  {
    path: '/logs',
    title: 'Logs',
    icon: ScrollText,
    needs: 'logs:read',
    key: 'l',
    ranged: true,
    load: () => import('$lib/features/logs/LogsPage.svelte'),
  },
  {
    path: '/audit',
    title: 'Audit',
    icon: ShieldCheck,
    needs: 'audit:read',
    key: 'a',
    ranged: false,
    load: () => import('$lib/features/audit/AuditPage.svelte'),
  },
  {
    path: '/settings',
    title: 'Settings',
    icon: Settings,
    key: 's',
    ranged: false,
    load: () => import('$lib/features/settings/SettingsPage.svelte'),
  },
];

/** The page at a path: itself, or the one that it is a part of. */
export function pageAt(path: string): Page | undefined {
  return PAGES.find((page) => path === page.path || (page.path !== '/' && path.startsWith(`${page.path}/`)));
}
