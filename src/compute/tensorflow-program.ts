/** A process of its own: whether native TensorFlow.js loads, as one line of JSON on stdout. */
import { answer } from './own-process.js';
import { loadTensorflow } from './tensorflow.js';

answer(await loadTensorflow());
