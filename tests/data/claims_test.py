"""Files of arrays that claim, or unpack to, more than they can hold."""

import gzip
import io
import struct
import zipfile
import zlib

import h5py
import numpy as np
import pytest
import scipy.io

from tests import synthetic
from tfdam import config as config_lib
from tfdam import memory
from tfdam.data import examples as examples_lib
from tfdam.data import matlab, mnist, npz, svhn, usps

OPTIONS = config_lib.Data()
IMAGES = np.zeros((4, 28, 28), np.uint8)


def said_by(module, folder, labels=False):
  with pytest.raises(config_lib.UserError) as caught:
    module.load(str(folder), "train", labels, OPTIONS)
  assert "\n" not in str(caught.value)
  return str(caught.value)


def zeros(megabytes):
  """That many gzipped."""
  packer = zlib.compressobj(9, zlib.DEFLATED, 31)
  block = bytes(1 << 20)
  return b"".join(packer.compress(block) for _ in range(megabytes)) + packer.flush()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_idx_header_that_claims_more_than_the_file_can_hold(tmp_path, ending):
  content = struct.pack(">4I", 0x0803, 2**32 - 1, 2**32 - 1, 28) + bytes(1000)
  path = tmp_path / f"train-images-idx3-ubyte{ending}"
  path.write_bytes(gzip.compress(content) if ending else content)
  said = said_by(mnist, tmp_path)
  assert "claims 516,508,833,823,349,276,700 bytes" in said
  assert "4294967295 x 4294967295 x 28" in said


def test_of_a_gzip_bomb_no_more_is_unpacked_than_its_header_promises(tmp_path):
  header = gzip.compress(synthetic.idx(IMAGES))
  (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(header + zeros(200))
  assert f"at least {IMAGES.size + 1} bytes" in said_by(mnist, tmp_path)


def test_a_bomb_of_text_is_left_at_four_times_the_official_size(tmp_path):
  (tmp_path / "zip.train.gz").write_bytes(zeros(100))
  assert "more than 67,108,864 bytes of text" in said_by(usps, tmp_path)


def test_a_checksum_is_not_taken_of_a_bomb(tmp_path, monkeypatch):
  monkeypatch.setattr(examples_lib, "_LARGEST_OFFICIAL", 10 << 20)
  (tmp_path / "a.gz").write_bytes(zeros(20))
  with pytest.raises(config_lib.UserError, match="10,485,760 bytes or more"):
    examples_lib.content_md5(str(tmp_path / "a.gz"))


def write_npz(folder, header, data=b"", packed=zipfile.ZIP_DEFLATED):
  with zipfile.ZipFile(folder / "train.npz", "w", packed) as archive:
    archive.writestr("images.npy", header + data)


def npy_header(shape, descr="|u1"):
  file = io.BytesIO()
  values = {"descr": descr, "fortran_order": False, "shape": shape}
  np.lib.format.write_array_header_1_0(file, values)
  return file.getvalue()


@pytest.mark.parametrize(
  ("shape", "descr", "said"),
  [
    ((10**12, 28, 28), "|u1", "claims 784,000,000,000,000 bytes of images.npy (uint8"),
    ((2**33, 2**33), "|u1", "claims 73,786,976,294,838,206,464 bytes"),
    ((4,), "|S1000000000", "claims 4,000,000,000 bytes"),
    ((4, 28, 7), "|u1", "2,352 bytes are behind images.npy"),
  ],
)
def test_an_npz_header_that_does_not_fit_what_the_archive_holds(
  tmp_path, shape, descr, said
):
  write_npz(tmp_path, npy_header(shape, descr), IMAGES.tobytes())
  assert said in said_by(npz, tmp_path)


def test_an_npz_header_that_is_a_bomb_itself(tmp_path):
  write_npz(tmp_path, b"\x93NUMPY\x02\x00" + struct.pack("<I", 200 << 20), bytes(200 << 20))
  assert "train.npz cannot be read" in said_by(npz, tmp_path)


def test_an_archive_that_claims_more_than_it_can_hold(tmp_path):
  write_npz(tmp_path, npy_header(IMAGES.shape), IMAGES.tobytes())
  content = bytearray((tmp_path / "train.npz").read_bytes())
  directory = content.index(b"PK\x01\x02")
  content[directory + 24 : directory + 28] = struct.pack("<I", 2**32 - 2)  # unpacked size
  (tmp_path / "train.npz").write_bytes(content)
  assert "claims 4,294,967,294 bytes of images.npy" in said_by(npz, tmp_path)


def test_an_archive_packed_in_a_way_that_is_not_numpys(tmp_path):
  header = npy_header(IMAGES.shape)
  write_npz(tmp_path, header, IMAGES.tobytes(), packed=zipfile.ZIP_BZIP2)
  assert "packed in another way" in said_by(npz, tmp_path)


def test_images_that_this_machine_cannot_hold_are_refused_by_their_header(
  tmp_path, monkeypatch
):
  np.savez_compressed(tmp_path / "train.npz", images=IMAGES)
  monkeypatch.setattr(memory, "available", lambda: 4_000)
  assert "expected at most 2,000, half of this machine's memory" in said_by(npz, tmp_path)
  # Resized images too: what is read is 3,136 bytes, what is made of it 12,544.
  monkeypatch.setattr(memory, "available", lambda: 10_000)
  with pytest.raises(config_lib.UserError, match="4 images at 56 x 56 take.*data.height"):
    npz.load(str(tmp_path), "train", False, config_lib.Data(height=56, width=56))


@pytest.mark.parametrize("packed", [{}, {"chunks": (100, 256), "compression": "gzip"}])
def test_an_h5_array_of_which_nothing_is_stored(tmp_path, packed):
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    file.create_dataset("train/data", (10**15, 256), "f4", **packed)
  assert "claims 1,024,000,000,000,000,000 bytes of train/data" in said_by(usps, tmp_path)


def test_a_chunk_of_an_h5_array_that_is_a_bomb(tmp_path):
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    made = file.create_dataset(
      "train/data", (10, 256), "f4", chunks=(10, 256), compression="gzip"
    )
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(50 << 20)))
  assert "a chunk unpacks to more than its 10,240 bytes" in said_by(usps, tmp_path)


def test_a_chunk_that_gzip_did_not_make_smaller_is_read(tmp_path):
  values = np.random.RandomState(0).uniform(0, 1, (10, 256)).astype(np.float32)
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    made = file.create_dataset(
      "train/data", (10, 256), "f4", chunks=(10, 256), compression="gzip"
    )
    made.id.write_direct_chunk((0, 0), values.tobytes(), filter_mask=1)
  images = usps.load(str(tmp_path), "train", False, OPTIONS).images
  np.testing.assert_allclose(images.reshape(10, 256) / 255, values, atol=0.01)


def _external_link(file, other):
  file["train/data"] = h5py.ExternalLink(other, "/x")


def _soft_link(file, other):
  file["elsewhere"] = h5py.ExternalLink(other, "/")
  file["train/data"] = h5py.SoftLink("/elsewhere/x")


def _external_storage(file, other):
  file.create_dataset("train/data", (2, 256), "f4", external=[(other, 0, 2048)])


def _virtual(file, other):
  layout = h5py.VirtualLayout((2, 256), "f4")
  layout[:] = h5py.VirtualSource(other, "x", (2, 256))
  file.create_virtual_dataset("train/data", layout)


def _objects(file, other):
  file.create_dataset("train/data", (2,), h5py.vlen_dtype(np.float32))


def _nothing(file, other):
  file["train/data"] = h5py.Empty("f4")


@pytest.mark.parametrize(
  ("make", "said"),
  [
    (_external_link, "leads elsewhere"),
    (_soft_link, "leads elsewhere"),
    (_external_storage, "lies in other files"),
    (_virtual, "lies in other files"),
    (_objects, "no numbers"),
    (_nothing, "no array"),
  ],
)
def test_an_h5_file_that_leads_to_others_or_holds_no_numbers(tmp_path, make, said):
  other = str(tmp_path / "other.h5")
  with h5py.File(other, "w") as file:
    file["x"] = np.zeros((2, 256), np.float32)
  with h5py.File(tmp_path / "usps.h5", "w") as file:
    make(file, other)
  assert said in said_by(usps, tmp_path)


def write_mat(folder, packed=True, **variables):
  path = folder / "train_32x32.mat"
  scipy.io.savemat(path, variables, do_compression=packed)
  return path


X = np.zeros((32, 32, 3, 4), np.uint8)


def test_a_mat_variable_that_claims_more_than_the_file_can_hold(tmp_path):
  path = write_mat(tmp_path, packed=False, X=X)
  content = bytearray(path.read_bytes())
  content[132:136] = struct.pack("<I", 2**32 - 1)
  path.write_bytes(content)
  assert "claims 4,294,967,295 bytes of a variable" in said_by(svhn, tmp_path)


@pytest.mark.parametrize("claimed", [2**32 - 1, 1000])
def test_a_mat_variable_that_is_a_bomb(tmp_path, claimed):
  path = write_mat(tmp_path, X=X)
  packed = zlib.compress(struct.pack("<II", 14, claimed) + bytes(50 << 20))
  header = path.read_bytes()[:128]
  path.write_bytes(header + struct.pack("<II", 15, len(packed)) + packed)
  said = said_by(svhn, tmp_path)
  assert ("claims 4,294,967,295 bytes" if claimed > 1000 else "another number") in said


@pytest.mark.parametrize("packed", [False, True])
def test_mat_dimensions_that_claim_more_than_the_file_can_hold(tmp_path, packed):
  path = write_mat(tmp_path, packed=False, X=X)
  shape, claimed = struct.pack("<4i", *X.shape), struct.pack("<4i", 32, 32, 3, 10**9)
  content = path.read_bytes().replace(shape, claimed)
  if packed:
    element = zlib.compress(content[128:])
    content = content[:128] + struct.pack("<II", 15, len(element)) + element
  path.write_bytes(content)
  assert "claims 3,072,000,000,000 bytes of X (32, 32, 3, 1000000000)" in said_by(
    svhn, tmp_path
  )


def test_a_mat_variable_that_is_no_numbers(tmp_path):
  write_mat(tmp_path, X=np.array([{}, 1], object))
  assert "X is of the kind cell; expected numbers" in said_by(svhn, tmp_path)


@pytest.mark.parametrize("form", ["4", "5"])
def test_plain_mat_files_are_read_as_packed_ones(tmp_path, form):
  values = np.arange(6).reshape(2, 3)
  scipy.io.savemat(tmp_path / "a.mat", {"a": values, "b": 1}, format=form)
  (found,) = matlab.read(str(tmp_path / "a.mat"), ["a"])[0].values()
  np.testing.assert_array_equal(found, values)
