package journal

import "golang.org/x/sys/unix"

// forget takes the pages of the file that were read out of the memory of this process;
// they stay in that of the system. Inside the transaction the mapping stays where it is.
func forget(tx *txn) {
	unix.Syscall(unix.SYS_MADVISE, tx.DB().Info().Data, uintptr(tx.Size()), unix.MADV_DONTNEED)
}
