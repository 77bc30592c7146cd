namespace Mqtt5.Cli;

/// <summary>A file as it was at some time.</summary>
/// <param name="File">Its name.</param>
/// <param name="Path">Where it is, beyond all links; null: nowhere.</param>
/// <param name="Length">Its length in bytes.</param>
/// <param name="Written">When it was written last.</param>
internal readonly record struct FileStamp(string File, string? Path, long Length, DateTime Written);
