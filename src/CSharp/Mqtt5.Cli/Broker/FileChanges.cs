namespace Mqtt5.Cli;

/// <summary>
/// Looks once a second whether files changed. Unlike notifications of the system, this also works for files that are replaced,
/// for links to files that are, and for folders of other machines.
/// </summary>
internal static class FileChanges
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Calls back when files have changed and then stayed the same for an interval, so that none is read half written.</summary>
    /// <returns>When it is cancelled.</returns>
    public static async Task WatchAsync(IReadOnlyList<string> files, Func<Task> changed, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval);
        var applied = Read(files);
        var last = applied;

        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                var now = Read(files);
                var isSteady = now.SequenceEqual(last);
                last = now;

                if (!isSteady || now.SequenceEqual(applied))
                    continue;

                applied = now;
                await changed();
            }
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }

    private static (string Path, long Length, DateTime Written)[] Read(IReadOnlyList<string> files) => [.. files.Select(Read)];

    private static (string Path, long Length, DateTime Written) Read(string file)
    {
        try
        {
            var info = new FileInfo(file);
            var target = info.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? info;
            return target.Exists ? (target.FullName, target.Length, target.LastWriteTimeUtc) : default;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            return default;
        }
    }
}
