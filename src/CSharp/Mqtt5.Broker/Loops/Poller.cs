using System.ComponentModel;
using System.Runtime.InteropServices;

namespace Mqtt5.Loops;

// An epoll instance and the eventfd that interrupts its wait. Changing the set of descriptors and waking are allowed from
// any thread; one thread waits.
internal sealed class Poller : IDisposable
{
    // What a descriptor is ready for, as in <sys/epoll.h>.
    public const uint Readable = 0x001;
    public const uint Writable = 0x004;
    public const uint Failed = 0x008;
    public const uint HungUp = 0x010;
    public const uint PeerClosed = 0x2000;

    // The key under which a call of Wake is reported.
    public const ulong WakeKey = 0;

    private const int MostEvents = 256;
    private const int Add = 1;
    private const int Remove = 2;
    private const int Change = 3;
    private const int CloseOnExec = 0x80000;
    private const int NonBlocking = 0x800;
    private const int Interrupted = 4;

    // struct epoll_event is packed on x86 and x64 only.
    private static readonly int KeyOffset =
        RuntimeInformation.ProcessArchitecture is Architecture.X64 or Architecture.X86 ? 4 : 8;

    private static readonly int EventBytes = KeyOffset + 8;

    private readonly byte[] events = GC.AllocateArray<byte>(MostEvents * EventBytes, pinned: true);
    private readonly int epoll;
    private readonly int wake;
    private int isClosed;

    public Poller()
    {
        epoll = Checked(CreateEpoll(CloseOnExec));
        wake = Checked(CreateEventDescriptor(0, CloseOnExec | NonBlocking));
        Control(Add, wake, WakeKey, Readable);
    }

    // Whether this system has epoll.
    public static bool IsSupported => OperatingSystem.IsLinux();

    public void Register(nint descriptor, ulong key, uint interest) => Control(Add, (int)descriptor, key, interest);

    public void Modify(nint descriptor, ulong key, uint interest) => Control(Change, (int)descriptor, key, interest);

    public void Unregister(nint descriptor) => Control(Remove, (int)descriptor, 0, 0);

    // How many descriptors are ready; waits for at most this long in milliseconds, -1: without limit.
    public int Wait(int timeout)
    {
        var count = WaitForEvents(epoll, ref MemoryMarshal.GetArrayDataReference(events), MostEvents, timeout);

        if (count >= 0)
            return count;

        return Marshal.GetLastPInvokeError() == Interrupted ? 0 : throw new Win32Exception(Marshal.GetLastPInvokeError());
    }

    public (ulong Key, uint Events) At(int index)
    {
        var one = events.AsSpan(index * EventBytes, EventBytes);
        return (MemoryMarshal.Read<ulong>(one[KeyOffset..]), MemoryMarshal.Read<uint>(one));
    }

    public void Wake()
    {
        var one = 1UL;
        _ = WriteNumber(wake, ref one, sizeof(ulong));
    }

    // Resets what Wake has set.
    public void Woken()
    {
        var count = 0UL;
        _ = ReadNumber(wake, ref count, sizeof(ulong));
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref isClosed, 1) == 1)
            return;

        _ = CloseDescriptor(epoll);
        _ = CloseDescriptor(wake);
    }

    private static int Checked(int result) => result >= 0 ? result : throw new Win32Exception(Marshal.GetLastPInvokeError());

    private void Control(int operation, int descriptor, ulong key, uint interest)
    {
        Span<byte> one = stackalloc byte[EventBytes];
        one.Clear();
        MemoryMarshal.Write(one, interest);
        MemoryMarshal.Write(one[KeyOffset..], key);
        Checked(ControlEpoll(epoll, operation, descriptor, ref MemoryMarshal.GetReference(one)));
    }

    // Gives the processor away for at least so many microseconds.
    public static void Sleep(uint microseconds) => _ = SleepMicroseconds(microseconds);

    [DllImport("libc", EntryPoint = "epoll_create1", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int CreateEpoll(int flags);

    [DllImport("libc", EntryPoint = "epoll_ctl", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int ControlEpoll(int epoll, int operation, int descriptor, ref byte one);

    [DllImport("libc", EntryPoint = "epoll_wait", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int WaitForEvents(int epoll, ref byte events, int most, int timeout);

    [DllImport("libc", EntryPoint = "eventfd", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int CreateEventDescriptor(uint start, int flags);

    [DllImport("libc", EntryPoint = "read", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint ReadNumber(int descriptor, ref ulong number, nint bytes);

    [DllImport("libc", EntryPoint = "write", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern nint WriteNumber(int descriptor, ref ulong number, nint bytes);

    [DllImport("libc", EntryPoint = "usleep")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SleepMicroseconds(uint microseconds);

    [DllImport("libc", EntryPoint = "close", SetLastError = true)]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int CloseDescriptor(int descriptor);
}
