"""What all tests share: this folder on the import path (for `codec_samples`), and one thread for torch.

The fits of the tests are so small that a second thread only waits for the first; on a busy machine it made the
suite take five times as long. Subprocesses inherit the setting.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
