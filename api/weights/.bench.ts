import { resolveSnapshot } from './resolve.ts';
import { snapshotDigest } from './digest.ts';
import { drawPlan } from './draws.ts';
import { ledgerDigest } from './ledger.ts';
import { ruleDocumentSchema } from '../contract/rule-sets.ts';
const N = Number(process.argv[2]);
let s = 1; const rnd = () => ((s = (Math.imul(s, 1664525) + 1013904223) >>> 0) / 2**32);
const ids: string[] = [], site: any[] = [], ml: any[] = [], labels: any[] = [], q: any[] = [], dice: any[] = [];
const sets = [[], ['edema'], ['lesion'], ['edema','lesion']];
for (let k = 0; k < N; k++) { ids.push('case_' + Math.floor(rnd()*1e9) + '_' + k); site.push('ABCDE'[Math.floor(rnd()*5)]); ml.push(rnd()<0.1?undefined:rnd()*20); labels.push(sets[Math.floor(rnd()**3*4)]); q.push(rnd()); dice.push(rnd()); }
const attributes: any = { site: {type:'string',required:true}, lesionMl:{type:'number',required:false}, labels:{type:'labels',required:true}, quality:{type:'number',required:true}, dice:{type:'number',required:true} };
const rules = ruleDocumentSchema.parse({ exclude:[{name:'motion',when:'case.quality < 0.05'}], groups:['site','labels'], target:{terms:[{name:'focus',kind:'match',when:"case.site == 'B'",factor:2}]}, sampling:{terms:[{name:'rare',kind:'rarity',by:['labels','site'],method:'inverse-frequency',power:0.5},{name:'small',kind:'formula',expression:'has(case.lesionMl) && case.lesionMl < 1.0 ? 3.0 : 1.0'},{name:'quality',kind:'quality',attribute:'quality',from:0.2,to:0.8,factorAtFrom:0.5,factorAtTo:1},{name:'hard',kind:'difficulty',attribute:'dice',measure:'dice',power:1}]}});
const mem = () => Math.round(process.memoryUsage().rss/1e6);
console.log('start rss', mem());
let t0 = performance.now();
const r = resolveSnapshot({ cases: { ids, columns: { site, lesionMl: ml, labels, quality: q, dice } }, attributes, rules });
console.log('resolve', Math.round(performance.now()-t0), 'ms rss', mem());
if (!r.ok) { console.log(r.faults.slice(0,3)); process.exit(1); }
console.log(JSON.stringify({...r.diagnostics, largest: r.diagnostics.largest.slice(0,2), groups: r.diagnostics.groups.slice(0,2)}));
t0 = performance.now();
const header: any = {format:1,dataset:'x'};
const d = snapshotDigest({ header, ...r }); console.log('digest', Math.round(performance.now()-t0), 'ms', d.slice(0,20));
t0 = performance.now();
const p = drawPlan({ digest: d, drawUnits: r.drawUnits, seed: 1, epoch: 0, drawsPerEpoch: N }); console.log('plan M=N', Math.round(performance.now()-t0), 'ms');
t0 = performance.now();
console.log(ledgerDigest(Array.from(p, (k) => r.ids[k])).slice(0,20), 'ledger', Math.round(performance.now()-t0), 'ms rss', mem());
