import { FakeClock } from '@sibyl/kernel/testing';
import type { AuditEventDraft } from './audit-event';
import { RefusalFold } from './refusal-fold';
import { anEvent } from './testing';

function aRefusal(requestId: string, ip = '10.0.0.1'): AuditEventDraft {
  return anEvent({ action: 'request.refuse', outcome: 'denied', status: 401, requestId, ip });
}

describe('RefusalFold', () => {
  const clock = new FakeClock();
  let emitted: AuditEventDraft[];
  let fold: RefusalFold;

  beforeEach(() => {
    emitted = [];
    fold = new RefusalFold(clock, (event) => emitted.push(event), { singly: 3, windowMs: 10_000, sources: 4 });
  });
  afterEach(() => fold.close());

  it('accounts for every refusal exactly once: the first singly, the rest in one event with a count', () => {
    const singly = Array.from({ length: 50 }, (_, i) => fold.singly(aRefusal(`r-${i}`), 'key_unknown')).filter(Boolean);
    expect(singly).toHaveLength(3);
    expect(emitted).toEqual([]);
    clock.advance(10_000);
    fold.sweep();
    expect(emitted).toEqual([{ ...aRefusal('r-3'), count: 47 }]);
    fold.sweep();
    expect(emitted).toHaveLength(1);
  });

  it('counts each address and each code by itself', () => {
    for (let i = 0; i < 3; i++) fold.singly(aRefusal('r'), 'key_unknown');
    expect(fold.singly(aRefusal('r'), 'key_unknown')).toBe(false);
    expect(fold.singly(aRefusal('r'), 'scope_missing')).toBe(true);
    expect(fold.singly(aRefusal('r', '10.0.0.2'), 'key_unknown')).toBe(true);
  });

  it('counts each caller and each model by itself, because the shared event names one of each', () => {
    const ofCaller = (id: string, model: string): AuditEventDraft =>
      anEvent({
        actor: { type: 'key', id, name: id },
        model: { name: model, version: '1', digest: `sha256:${model}` },
      });
    for (let i = 0; i < 4; i++) fold.singly(ofCaller('a', 'tree'), 'queue_full');
    expect(fold.singly(ofCaller('a', 'tree'), 'queue_full')).toBe(false);
    expect(fold.singly(ofCaller('b', 'tree'), 'queue_full')).toBe(true);
    expect(fold.singly(ofCaller('a', 'lstm'), 'queue_full')).toBe(true);
    fold.close();
    expect(emitted).toEqual([{ ...ofCaller('a', 'tree'), count: 2 }]);
  });

  it('lets nobody have an event for each refusal by asking for another name each time', () => {
    const named = (name: string): AuditEventDraft =>
      anEvent({ model: { name }, resource: { type: 'model', id: name } });
    const singly = Array.from({ length: 50 }, (_, i) => fold.singly(named(`x${i}`), 'scope_missing')).filter(Boolean);
    expect(singly).toHaveLength(3);
    fold.close();
    // What the 47 do not have in common is not said of them.
    expect(emitted).toEqual([{ ...named('x3'), model: undefined, resource: undefined, count: 47 }]);
  });

  it('says of shared refusals no version that only some of them asked for', () => {
    const ofVersion = (version: string): AuditEventDraft =>
      anEvent({ model: { name: 'tree', version, digest: `sha256:${version}`, alias: 'production' } });
    for (const version of ['1', '1', '1', '1', '2']) fold.singly(ofVersion(version), 'queue_full');
    fold.close();
    expect(emitted).toEqual([{ ...ofVersion('1'), model: { name: 'tree' }, count: 2 }]);
  });

  it('begins anew after the window, also when no sweep came between', () => {
    for (let i = 0; i < 5; i++) fold.singly(aRefusal(`r-${i}`), 'key_unknown');
    clock.advance(10_001);
    expect(fold.singly(aRefusal('later'), 'key_unknown')).toBe(true);
    expect(emitted).toEqual([{ ...aRefusal('r-3'), count: 2 }]);
  });

  it('gives every refusal its own event once too many sources are watched', () => {
    for (let i = 0; i < 4; i++) fold.singly(aRefusal('r', `10.0.1.${i}`), 'key_unknown');
    for (let i = 0; i < 20; i++) expect(fold.singly(aRefusal('r', '10.0.2.1'), 'key_unknown')).toBe(true);
  });

  it('loses nothing when it is closed, and emits nothing for windows without a fold', () => {
    for (let i = 0; i < 4; i++) fold.singly(aRefusal(`r-${i}`), 'key_unknown');
    fold.singly(aRefusal('r', '10.0.0.9'), 'key_unknown');
    fold.close();
    expect(emitted).toEqual([{ ...aRefusal('r-3'), count: 1 }]);
  });
});
