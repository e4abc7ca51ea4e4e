/** The LogQL editor: CodeMirror in a chunk of its own, one line that grows. */
import {
  autocompletion,
  closeBrackets,
  completionKeymap,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching, HighlightStyle, LanguageSupport, LRLanguage, syntaxHighlighting } from '@codemirror/language';
import { setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { parser } from '@grafana/lezer-logql';
import { styleTags, tags } from '@lezer/highlight';
import { FUNCTIONS, placeAt, RANGES, STAGES } from './complete';

/** Words that exist on this server. */
export interface Vocabulary {
  labels(): Promise<readonly string[]>;
  values(label: string): Promise<readonly string[]>;
  /** Fields found in the lines, with their top values. */
  fields(): readonly { readonly name: string; readonly values: readonly { readonly value: string }[] }[];
}

export interface Fault {
  readonly words: string;
  /** 1-based, in characters. */
  readonly line: number;
  readonly column: number;
}

export interface EditorOptions {
  readonly parent: HTMLElement;
  readonly text: string;
  readonly vocabulary: Vocabulary;
  /** Enter. */
  readonly run: (text: string) => void;
  readonly changed: (text: string) => void;
}

export interface Editor {
  setText(text: string): void;
  setFault(fault: Fault | null): void;
  focus(): void;
  destroy(): void;
}

const language = LRLanguage.define({
  name: 'logql',
  parser: parser.configure({
    props: [
      styleTags({
        LineComment: tags.comment,
        'Identifier LabelName': tags.labelName,
        String: tags.string,
        'Number Duration Bytes Range': tags.number,
        'RangeOp/... VectorOp/... ConvOp/...': tags.function(tags.name),
        'Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat LabelReplace Decolorize Drop Keep':
          tags.keyword,
        'By Without And Or Unless On Ignoring GroupLeft GroupRight Bool Offset': tags.operatorKeyword,
        'Eq Neq Re Nre PipeExact PipeMatch PipePattern Npa Pipe Gtr Gte Lss Lte Eql': tags.operator,
      }),
    ],
  }),
  languageData: { closeBrackets: { brackets: ['(', '[', '{', '"', '`'] } },
});

const colours = HighlightStyle.define([
  { tag: tags.labelName, class: 'q-label' },
  { tag: tags.string, class: 'q-string' },
  { tag: tags.number, class: 'q-number' },
  { tag: tags.function(tags.name), class: 'q-function' },
  { tag: tags.keyword, class: 'q-keyword' },
  { tag: [tags.operatorKeyword, tags.operator], class: 'q-operator' },
  { tag: tags.comment, class: 'q-comment' },
]);

export function openEditor(options: EditorOptions): Editor {
  const { parent, text, vocabulary } = options;
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        history(),
        closeBrackets(),
        bracketMatching(),
        new LanguageSupport(language),
        syntaxHighlighting(colours),
        autocompletion({
          override: [(context) => complete(context, vocabulary)],
          icons: false,
          activateOnTyping: true,
        }),
        Prec.low(
          keymap.of([
            {
              key: 'Enter',
              run: (v) => {
                options.run(v.state.doc.toString());
                return true;
              },
            },
          ]),
        ),
        keymap.of([...completionKeymap, ...historyKeymap]),
        keymap.of(defaultKeymap.filter((binding) => binding.key !== 'Enter')),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': 'LogQL query', spellcheck: 'false' }),
        placeholder('{service_name="…"}'),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.changed(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setText(next) {
      if (view.state.doc.toString() === next) return;
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } });
    },
    setFault(fault) {
      view.dispatch(setDiagnostics(view.state, fault ? [diagnosticOf(view.state, fault)] : []));
    },
    focus: () => view.focus(),
    destroy: () => view.destroy(),
  };
}

/** The word at the fault, or the last character where the query ended too soon. */
function diagnosticOf(state: EditorState, fault: Fault) {
  const line = state.doc.line(Math.max(1, Math.min(fault.line, state.doc.lines)));
  // The server counts characters, CodeMirror counts UTF-16 units.
  const before = [...line.text].slice(0, Math.max(0, fault.column - 1)).join('').length;
  let from = Math.min(line.to, line.from + before);
  const word = /^(?:\w+|.)/u.exec(state.doc.sliceString(from, line.to));
  const to = word ? from + word[0].length : from;
  if (to === from) from = Math.max(line.from, from - 1);
  return { from, to, severity: 'error' as const, message: fault.words };
}

async function complete(context: CompletionContext, vocabulary: Vocabulary): Promise<CompletionResult | null> {
  const place = placeAt(context.state.doc.toString(), context.pos);
  switch (place.kind) {
    case 'label': {
      const labels = await vocabulary.labels();
      return { from: place.from, options: labels.map((label) => ({ label, apply: `${label}="`, type: 'property' })) };
    }
    case 'value': {
      const values = place.selector
        ? await vocabulary.values(place.label)
        : (vocabulary
            .fields()
            .find((f) => f.name === place.label)
            ?.values.map((v) => v.value) ?? []);
      const escape = (v: string): string => JSON.stringify(v).slice(1, -1);
      return {
        from: place.from,
        options: values.map((v) => ({ label: v, apply: escape(v), type: 'text' })),
        validFor: /^[^"|]*$/,
      };
    }
    case 'stage': {
      const fields = vocabulary
        .fields()
        .map((f) => ({ label: f.name, apply: `${f.name}="`, type: 'property', detail: 'field' }));
      const stages = STAGES.map(([label, detail]) => ({ label, detail, type: 'keyword' }));
      return { from: place.from, options: [...stages, ...fields], validFor: /^\w*$/ };
    }
    case 'function': {
      if (!context.explicit && place.from === context.pos) return null;
      const options = FUNCTIONS.map((label) => ({ label, apply: `${label}(`, type: 'function' }));
      return { from: place.from, options, validFor: /^\w*$/ };
    }
    case 'range':
      return { from: place.from, options: RANGES.map((label) => ({ label, apply: `${label}]`, type: 'constant' })) };
    case 'none':
      return null;
  }
}
