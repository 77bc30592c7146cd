namespace Mqtt5.Cli;

/// <summary>
/// Looks once a second whether files changed. Unlike notifications of the system, this also works for files that are replaced,
/// for links to files that are, and for folders of other machines.
/// </summary>
internal static class FileChanges
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    /// <summary>Calls back when files have changed and then stayed the same for an interval, so that none is read half written.</summary>
    /// <param name="seen">The files as they were before they were read last; others from then on, where those name others.</param>
    /// <param name="changed">Reads them again.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>When it is cancelled.</returns>
    public static async Task WatchAsync(Func<IReadOnlyList<FileStamp>> seen, Func<Task> changed, CancellationToken cancellationToken)
    {
        using var timer = new PeriodicTimer(Interval);
        var last = seen();

        try
        {
            while (await timer.WaitForNextTickAsync(cancellationToken))
            {
                var applied = seen();
                var now = Read(applied.Select(one => one.File));
                var isSteady = now.SequenceEqual(last);
                last = now;

                if (!isSteady || now.SequenceEqual(applied))
                    continue;

                await changed();
            }
        }
        catch (OperationCanceledException)
        {
            // The broker is shutting down.
        }
    }

    /// <summary>The files as they are now; one that cannot be looked at is as one that is not there.</summary>
    public static FileStamp[] Read(IEnumerable<string> files) => [.. files.Select(Read)];

    private static FileStamp Read(string file)
    {
        try
        {
            var info = new FileInfo(file);
            var target = info.ResolveLinkTarget(returnFinalTarget: true) as FileInfo ?? info;

            if (target.Exists)
                return new FileStamp(file, target.FullName, target.Length, target.LastWriteTimeUtc);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            // As if it was not there.
        }

        return new FileStamp(file, null, 0, default);
    }
}
