using System.ComponentModel;
using System.Diagnostics;
using System.Text;
using Fanfare.Gateway.Tests.TestKit;

namespace Fanfare.Gateway.Tests.Handlers.DataSources;

/// <summary>A DynamoDB that nobody here wrote, from npm, in memory and with tables <c>messages</c> and <c>other</c>.</summary>
/// <remarks>The key of both is <c>room</c>, a text, and <c>n</c>, a number.</remarks>
internal sealed class Dynalite : IAsyncDisposable
{
    private const string Script = """
        const server = require('dynalite')({ createTableMs: 0 })
        server.listen(0, '127.0.0.1', async () => {
          const url = `http://127.0.0.1:${server.address().port}`
          for (const TableName of ['messages', 'other']) {
            const answer = await fetch(url, {
              method: 'POST',
              headers: {
                'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'DynamoDB_20120810.CreateTable', 'x-amz-date': 'x',
                authorization: 'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=a',
              },
              body: JSON.stringify({
                TableName,
                AttributeDefinitions: [{ AttributeName: 'room', AttributeType: 'S' }, { AttributeName: 'n', AttributeType: 'N' }],
                KeySchema: [{ AttributeName: 'room', KeyType: 'HASH' }, { AttributeName: 'n', KeyType: 'RANGE' }],
                BillingMode: 'PAY_PER_REQUEST',
              }),
            })
            if (!answer.ok) throw new Error(await answer.text())
          }
          console.log(url)
        })
        """;

    private readonly Process _process;
    private readonly Task<string> _rest;

    private Dynalite(Process process, Uri address)
    {
        _process = process;
        _rest = process.StandardOutput.ReadToEndAsync(CancellationToken.None);
        Address = address;
    }

    public Uri Address { get; }

    /// <summary>Starts one; skips the test where Node or the package is not installed.</summary>
    public static async Task<Dynalite> StartAsync()
    {
        var modules = Path.Combine(Repository.Root, "tests", "clients", "node_modules");
        Assert.SkipUnless(
            System.IO.Directory.Exists(Path.Combine(modules, "dynalite")), "dynalite is not installed (npm ci in tests/clients)");
        var start = new ProcessStartInfo("node") { RedirectStandardOutput = true, StandardOutputEncoding = Encoding.UTF8 };
        start.ArgumentList.Add("-e");
        start.ArgumentList.Add(Script);
        start.Environment["NODE_PATH"] = modules;
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (Win32Exception)
        {
            Assert.Skip("node is not installed");
            throw;
        }

        var line = await Deadline.WaitAsync(async token => await process.StandardOutput.ReadLineAsync(token), "dynalite's address");
        return new Dynalite(process, new Uri(line ?? throw new InvalidOperationException("dynalite ended.")));
    }

    public async ValueTask DisposeAsync()
    {
        _process.Kill();
        await _process.WaitForExitAsync(CancellationToken.None);
        await _rest;
        _process.Dispose();
    }
}
