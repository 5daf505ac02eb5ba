"""What ``--help`` of ``skunfold`` and of its commands says beside the arguments."""

from skunfold._install import install_advice

DESCRIPTION = """\
Remove noise from recordings of speech with deep NMF: a network whose layers are the iterations
of a non-negative matrix factorization.
"""

EPILOGUE = """\
examples:
  skunfold enhance noisy.wav                               denoise it: noisy-enhanced.wav
  skunfold enhance noisy.wav --noise-sample noise.wav      better, with the noise alone
  skunfold demo                                            see it learn, in about a minute
  skunfold train --noise my-machine.wav -o MODEL           learn your noise from a recording
  skunfold train --speech DIR --noise DIR -o MODEL         learn from your own recordings
  skunfold enhance noisy.wav -m MODEL                      denoise it with that model
  skunfold evaluate -m MODEL --speech DIR --noise DIR      measure how well it does
  skunfold info MODEL                                      say what a model is
  skunfold app                                             open the web app

`skunfold COMMAND --help` explains a command.

exit codes:
  0    done
  1    something failed, which stderr explains; of several recordings, at least one
  2    invalid arguments
  130  interrupted with Ctrl-C; every file written so far is complete
"""

DEMO = """\
Train on the recordings that come with the package (two voices, three kinds of noise), denoise
others of the same kind, and compare deep NMF with plain sparse NMF and with no processing.
Writes a table (results.json), recordings to listen to (wav/), a picture (spectrograms.png) and
the trained model (model).
"""

DEMO_EPILOGUE = """\
examples:
  skunfold demo
  skunfold demo --out here --json > table.json
  skunfold enhance noisy.wav -m skunfold-demo/model -o clean.wav

An earlier demo in the folder is replaced.  A folder that holds anything else is not used unless
--overwrite is given; only the four names above are written in any case.
"""

TRAIN = """\
Train a model on recordings of noise and of clean speech.  Utterances and noise are mixed at -6
to 9 dB.  Half a minute of the noise that you want to remove is enough, recorded where and as
you record speech: without --speech, the model that comes with the package learns your noise
with the voices that come with it.  With --speech, a new model is trained.  Training
ends early when the loss on held-out utterances stops falling.  A model processes frequencies up
to half its sample rate: 8 kHz, unless --sample-rate is given.

With --sample-components, the model learns from many kinds of noise how to remove one that it is
shown in a short sample (`skunfold enhance --noise-sample`), also of kinds that it never heard.
"""

TRAIN_EPILOGUE = """\
examples:
  skunfold train --noise my-machine.wav -o my.model
  skunfold train --noise my-machine.wav -o my.model --init general.model
  skunfold train --speech voices --noise street -o street.model
  skunfold train --speech voices --noise street -o small.model --components 25
  skunfold train --speech voices --noise street -o nmf.model --trained-layers 0
  skunfold train --speech voices --noise noises -o any.model --sample-components 24

The model is written only after training has ended.
"""

ENHANCE = """\
Denoise recordings (WAV, FLAC, OGG, MP3, ...; any rate and number of channels) with the model
that comes with the package, or with one that `skunfold train` or `skunfold demo` wrote.  A
model file is only data: one from a stranger cannot run code.
"""

ENHANCE_EPILOGUE = """\
examples:
  skunfold enhance call.wav                                # call-enhanced.wav
  skunfold enhance call.wav -o call-clean.wav
  skunfold enhance call.wav --noise-sample noise.wav -o call-clean.wav
  skunfold enhance monday/*.flac -m street.model -o denoised/
  skunfold enhance recordings/ -o denoised/ --skip-existing
  cat noisy.wav | skunfold enhance - -o - > clean.wav
  arecord -f S16_LE -r 16000 | skunfold enhance - -o - | aplay

Folders are searched with their subfolders, and OUT gets the same subfolders.  Names that begin
with a dot and files inside OUT are left out.  Recordings that cannot be denoised, subfolders
that cannot be read and links to folders are reported at the end; all other recordings are
denoised.

An input is never overwritten.  Other existing files are kept unless --overwrite is given:
without it, nothing is done if one output exists.  Every file is written completely or not at
all.

A sample of the noise (--noise-sample), such as a second in which nobody speaks, helps the model
that comes with the package, and models that were trained with --sample-components.  All
recordings are denoised with the same sample.

The output keeps the sample rate, the channels and, unless --subtype is given, the sample format
of the input.  WAV of more than 4 GiB becomes RF64.

In recordings at a higher sample rate than the model's, frequencies above half the model's rate
(8 kHz by default) are kept, with the gain of the highest frequencies that the model processes.

From - to -, WAV of any length is denoised while it arrives.  Where only one of IN and OUT is -,
output is written at the end.  Memory does not grow with the length.
"""

EVALUATE = """\
Mix every utterance of a folder with noise of another at -6, -3, 0, 3, 6 and 9 dB, denoise the
mixtures, and print the mean SI-SDR (scale-invariant signal-to-distortion ratio, in dB; higher
is better) before and after.  Use recordings that the model was not trained on.
"""

EVALUATE_EPILOGUE = """\
examples:
  skunfold evaluate -m street.model --speech other-voices --noise other-street
  skunfold evaluate -m street.model --speech other-voices --noise other-street --json
"""

INFO = """\
Say what a model file holds: its network, its sample rate, how long it was trained, and how well
it does on held-out utterances.  No code of the file is run.
"""

INFO_EPILOGUE = """\
examples:
  skunfold info
  skunfold info street.model
  skunfold info street.model --json
"""

APP = f"""\
Open a web page on this computer: upload or record speech, choose a model, see the spectrograms,
hear the noisy and the enhanced recording, download the result.  Needs the extra `app`:
{install_advice("app")}.
"""

APP_EPILOGUE = """\
examples:
  skunfold app
  skunfold app street.model office.model --port 8000 --no-browser

Without a model file, the page uses the model that comes with the package.  The app needs no
network.  Ctrl-C, SIGTERM or SIGHUP ends it, with exit code 0, and deletes all uploads.

Other web sites that you visit cannot use the app: requests are refused if they come from
another page, or ask for another host than localhost, --host, the address that they reach and
the names given by --allow-host.  Where --host lets other computers in, anybody who reaches this
one can use the app unless there is a password.  Setting $SKUNFOLD_PASSWORD is enough to require
one, without --password.  Recordings and password are sent without encryption.
"""

COMMANDS = {  # summary, text and epilogue of each
    "demo": ("train and denoise bundled recordings", DEMO, DEMO_EPILOGUE),
    "train": ("train on your own recordings", TRAIN, TRAIN_EPILOGUE),
    "enhance": ("denoise recordings", ENHANCE, ENHANCE_EPILOGUE),
    "evaluate": ("measure a model", EVALUATE, EVALUATE_EPILOGUE),
    "info": ("say what a model is", INFO, INFO_EPILOGUE),
    "app": ("open the web app", APP, APP_EPILOGUE),
}
