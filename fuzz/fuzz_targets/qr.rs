#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    loopkey_fuzz::qr::run(data);
});
