"""Decrypting an 8 MB accelerometer file, against a plain loop over its lines.

Prints one JSON line: name, ratio to the loop in the same run, MB/s of ciphertext, peak memory beyond the file in MB,
ms per private key operation, and ms for the loop's reading of a key line (PEM parsed anew, `pow` without the CRT).
"""

from core.crypto.device_file import decrypt_device_file
from core.crypto.participant_keys import DevicePrivateKey, generate_key_pair
from tests.benchmarks.measure import best_seconds, growth_mb, inputs_for_memory, peak_memory_mb, report
from tests.benchmarks.participant_day import accelerometer_records, encrypt_device_file
from tests.reference.device_file import decrypt_file, recover_key

SIZE_BYTES = 8_000_000


def main() -> None:
    """Runs the benchmark, or with `--memory` the part of it whose memory is measured."""
    if inputs := inputs_for_memory():
        data, key = inputs[0], DevicePrivateKey.from_pem(inputs[1])
        print(growth_mb(lambda: decrypt_device_file(data, key)))
        return
    pair = generate_key_pair()
    key = DevicePrivateKey.from_pem(pair.private_pem)
    data = encrypt_device_file(accelerometer_records(SIZE_BYTES), pair.public_pem)
    assert decrypt_device_file(data, key).plaintext == decrypt_file(data, pair.private_pem)[0]
    fast = best_seconds(lambda: decrypt_device_file(data, key), 7)
    slow = best_seconds(lambda: decrypt_file(data, pair.private_pem), 2)
    cipher = bytes(range(1, 256))
    key_line = data.split(b"\n", 1)[0]
    report(
        "device file, 8 MB accelerometer",
        ratio=slow / fast,
        mb_per_s=len(data) / 1e6 / fast,
        peak_memory_mb=peak_memory_mb("tests.benchmarks.bench_device_file", (data, pair.private_pem)),
        private_key_ms=1000 * best_seconds(lambda: key.decrypt_raw(cipher), 20),
        private_key_plain_ms=1000 * best_seconds(lambda: recover_key(key_line, pair.private_pem), 5),
    )


if __name__ == "__main__":
    main()
