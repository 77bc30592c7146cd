using System.Globalization;
using System.Text.RegularExpressions;

namespace Mqtt5.CliTests.Storage;

// The calls that changed the files of a folder, as strace wrote them down, and what a disk holds of them after a power
// failure: what was synced, and of the rest nothing, or any part.
internal sealed partial class DiskTrace
{
    private const int SectorBytes = 512;
    private readonly Dictionary<string, byte[]> initial;
    private readonly Call[] calls;

    private DiskTrace(Dictionary<string, byte[]> initial, Call[] calls)
    {
        this.initial = initial;
        this.calls = calls;
    }

    private enum Kind
    {
        Write,
        Truncate,
        Sync,
        Delete,
    }

    // When each of the calls began.
    public IReadOnlyList<DateTime> Times => [.. calls.Select(call => call.Begin)];

    public static string[] Tracer(string log) =>
        [StoreImage.Tracer, "-D", "-ff", "--seccomp-bpf", "-qq", "-ttt", "-T", "-y", "-xx", "-s", "4194304", "-e", "signal=none", "-e", "trace=pwrite64,ftruncate,fsync,fdatasync,unlink,unlinkat", "-o", log];

    // Of a folder that was as it is in an image, from the logs of all threads.
    public static async Task<DiskTrace> ReadAsync(string image, string store, string log)
    {
        var initial = Directory.EnumerateFiles(image).ToDictionary(file => Path.GetFileName(file)!, File.ReadAllBytes);
        var calls = new List<Call>();

        foreach (var thread in Directory.EnumerateFiles(Path.GetDirectoryName(log)!, Path.GetFileName(log) + ".*"))
        {
            foreach (var line in await File.ReadAllLinesAsync(thread))
            {
                if (CallOf(line, store) is { } call)
                    calls.Add(call);
            }
        }

        return new DiskTrace(initial, [.. calls.OrderBy(call => call.Begin)]);
    }

    // Makes the folder that there is after a power failure at that time. Of what was not synced a random half survives, some
    // of it in part, or nothing.
    public void Crash(DateTime time, string folder, Random? survives)
    {
        var files = initial.ToDictionary(file => file.Key, file => new CrashedFile(file.Value));

        foreach (var call in calls.TakeWhile(call => call.Begin <= time))
        {
            if (call.Kind == Kind.Delete)
            {
                if (files.Remove(call.File, out var gone))
                    gone.Dispose();
            }
            else if (call.Kind != Kind.Sync)
                (files.TryGetValue(call.File, out var file) ? file : files[call.File] = new CrashedFile([])).Add(call);
            else if (call.End <= time && files.TryGetValue(call.File, out var synced))
                synced.Sync(call.Begin);
        }

        Directory.CreateDirectory(folder);

        foreach (var (name, file) in files)
        {
            File.WriteAllBytes(Path.Combine(folder, name), file.After(survives));
            file.Dispose();
        }
    }

    [GeneratedRegex(@"^(?<time>\d+\.\d+) (?<name>\w+)\((?<arguments>.*)\) += (?<result>-?\d+).*<(?<duration>[\d.]+)>$")]
    private static partial Regex Line();

    [GeneratedRegex(@"^\d+<(?<path>[^>]*)>")]
    private static partial Regex Descriptor();

    // Null: it is about another file, failed, or was under way when the process was killed.
    private static Call? CallOf(string line, string store)
    {
        var match = Line().Match(line);

        if (!match.Success || match.Groups["result"].Value[0] == '-')
            return null;

        var arguments = match.Groups["arguments"].Value.Split(", ");
        var name = match.Groups["name"].Value;
        var path = name switch
        {
            "unlink" => TextOf(arguments[0]),
            "unlinkat" => TextOf(arguments[1]),
            _ => PathOf(Descriptor().Match(arguments[0]).Groups["path"].Value),
        };

        // The index of the log is rebuilt by each that opens the store.
        if (Path.GetDirectoryName(path) != store || path.EndsWith("-shm", StringComparison.Ordinal))
            return null;

        var begin = DateTime.UnixEpoch + TimeSpan.FromSeconds(double.Parse(match.Groups["time"].Value, CultureInfo.InvariantCulture));
        var end = begin + TimeSpan.FromSeconds(double.Parse(match.Groups["duration"].Value, CultureInfo.InvariantCulture));
        var file = Path.GetFileName(path);

        return name switch
        {
            "pwrite64" => new Call(begin, end, Kind.Write, file, BytesOf(arguments[1])[..int.Parse(match.Groups["result"].Value, CultureInfo.InvariantCulture)], long.Parse(arguments[3], CultureInfo.InvariantCulture)),
            "ftruncate" => new Call(begin, end, Kind.Truncate, file, [], long.Parse(arguments[1], CultureInfo.InvariantCulture)),
            "unlink" or "unlinkat" => new Call(begin, end, Kind.Delete, file, [], 0),
            _ => new Call(begin, end, Kind.Sync, file, [], 0),
        };
    }

    // Paths of descriptors are written as they are, or escaped as texts are.
    private static string PathOf(string path) => path.StartsWith("\\x", StringComparison.Ordinal) ? TextOf($"\"{path}\"") : path;

    private static string TextOf(string quoted) => System.Text.Encoding.UTF8.GetString(BytesOf(quoted));

    private static byte[] BytesOf(string quoted) => Convert.FromHexString(quoted.Trim('"').Replace("\\x", "", StringComparison.Ordinal));

    private sealed record Call(DateTime Begin, DateTime End, Kind Kind, string File, byte[] Bytes, long Place);

    private sealed class CrashedFile : IDisposable
    {
        private readonly MemoryStream content = new();
        private List<Call> unsynced = [];

        public CrashedFile(byte[] initial) => content.Write(initial);

        public void Dispose() => content.Dispose();

        public void Add(Call call) => unsynced.Add(call);

        public void Sync(DateTime begin)
        {
            foreach (var call in unsynced.TakeWhile(call => call.End <= begin))
                Apply(call);

            unsynced = [.. unsynced.SkipWhile(call => call.End <= begin)];
        }

        public byte[] After(Random? survives)
        {
            foreach (var call in unsynced.Where(_ => survives?.Next(2) == 0))
                Apply(Torn(call, survives!));

            return content.ToArray();
        }

        // A write of several sectors may have been done in part.
        private static Call Torn(Call call, Random random) =>
            call.Bytes.Length > SectorBytes && random.Next(4) == 0 ? call with { Bytes = call.Bytes[..(random.Next(call.Bytes.Length / SectorBytes) * SectorBytes)] } : call;

        private void Apply(Call call)
        {
            if (call.Kind == Kind.Truncate)
            {
                content.SetLength(call.Place);
                return;
            }

            content.Position = call.Place;
            content.Write(call.Bytes);
        }
    }
}
