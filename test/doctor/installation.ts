import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ROOT } from '../cli/tiny-project.js';

/** A copy of hndsr as it is installed, to break: its own files, and links to the packages that it needs. */
export class Installation {
  readonly folder = mkdtempSync(join(tmpdir(), 'hndsr-installation-'));
  readonly program = join(this.folder, 'bin', 'hndsr.js');

  constructor() {
    for (const name of ['bin', 'dist', 'golden', 'package.json']) {
      cpSync(join(ROOT, name), join(this.folder, name), { recursive: true });
    }
    mkdirSync(join(this.folder, 'node_modules'));
    for (const name of readdirSync(join(ROOT, 'node_modules'))) {
      symlinkSync(join(ROOT, 'node_modules', name), join(this.folder, 'node_modules', name));
    }
  }

  removePackage(name: string): void {
    rmSync(join(this.folder, 'node_modules', name), { recursive: true });
  }

  /** @param code what runs when the package is loaded */
  replacePackage(name: string, code: string): void {
    this.removePackage(name);
    const folder = join(this.folder, 'node_modules', name);
    mkdirSync(folder);
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, main: 'index.js' }));
    writeFileSync(join(folder, 'index.js'), code);
  }

  remove(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
