//! Support shared by the test suites of this package.
