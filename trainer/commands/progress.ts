// Progress for people: bars where stderr is a terminal, elsewhere a line at every tenth. The cursor
// stays visible, so that nothing has to be restored when Ctrl-C ends a command.

import cliProgress from 'cli-progress';
import type { Io } from './io.ts';

export type Progress = { update: (done: number, note?: string) => void; stop: () => void };

export type ProgressBoard = {
  /** One row of the board, by the place of its name. */
  update: (row: number, done: number, note?: string) => void;
  /** A line of words that stays above the bars. */
  log: (line: string) => void;
  stop: () => void;
};

export type ProgressRow = { name: string; total: number };

/** Several things that go on at once. */
export function progressBoard(io: Io, rows: ProgressRow[]): ProgressBoard {
  return io.terminal ? barBoard(rows) : lineBoard(io, rows);
}

/** One thing that goes on. */
export function progress(io: Io, name: string, total: number): Progress {
  const board = progressBoard(io, [{ name, total }]);
  return { update: (done, note) => board.update(0, done, note), stop: board.stop };
}

function barBoard(rows: ProgressRow[]): ProgressBoard {
  const width = Math.max(...rows.map(({ name }) => name.length));
  const bars = new cliProgress.MultiBar(
    { format: '{name} {bar} {value}/{total} {note}', stream: process.stderr, barsize: 30 },
    cliProgress.Presets.shades_classic,
  );
  const shown = rows.map(({ name, total }) =>
    bars.create(total, 0, { name: name.padEnd(width), note: '' }),
  );
  return {
    update: (row, done, note = '') => shown[row].update(done, { note }),
    log: (line) => bars.log(`${line}\n`),
    stop: () => bars.stop(),
  };
}

function lineBoard(io: Io, rows: ProgressRow[]): ProgressBoard {
  const tenths = rows.map(() => 0);
  return {
    update: (row, done, note = '') => {
      const { name, total } = rows[row];
      const tenth = Math.floor((10 * done) / Math.max(total, 1));
      if (tenth <= tenths[row]) return;
      tenths[row] = tenth;
      io.say(`${name}: ${done} of ${total} ${note}`.trimEnd());
    },
    log: io.say,
    stop: () => {},
  };
}
